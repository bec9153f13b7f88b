# Predicted against measured, +-10 % and +-25 % bands, and the error's distribution
# needs: type series unit measured predicted error_percent share_percent
# draws: measured predicted
of(s) = strcol("type") eq "row" && strcol("series") eq s
all(v) = strcol("type") eq "all" ? v : NaN
stats DATA using (column("measured")) name "M" nooutput
stats DATA using (column("predicted")) name "P" nooutput
stats DATA using (all(column("error_percent"))) name "E" nooutput
lo = (M_min < P_min ? M_min : P_min) / 1.4
hi = (M_max > P_max ? M_max : P_max) * 1.4
UNIT = ""
set table $UNITS
plot DATA using (UNIT = strstrt(" " . UNIT . ",", " " . strcol("unit") . ",") ? UNIT : UNIT . (UNIT eq "" ? "" : ", ") . strcol("unit"), column("measured")):(0) with table
unset table
UNIT = UNIT eq "1" ? "share" : UNIT
ALL = sprintf(E_records == 1 ? "%d row, error %.3g %s" : "all %d rows, median error %.3g %s", E_records, E_median, PCT)
do for [i = 1:NS] { dummy = legend_count(NAMES[i]) }
dummy = legend_count(ALL)
GAP_X = 1.5
eval(panels(2, PAGE || DUMB ? 2 : 1, DUMB ? 8 : PAGE ? 6.6 : 5.6, 0, 1.2))
eval(legend_start)
do for [i = 1:NS] { eval(legend_both(NAMES[i], COLOR[i], DASH[i], POINT[i])) }
eval(legend_line(ALL, MARK, 1))
unset key
eval(log_axis("x", lo, hi))
eval(log_axis("y", lo, hi))
set xlabel sprintf("measured (%s)", UNIT) offset 0,XLABEL
set ylabel sprintf("predicted (%s)", UNIT) offset 0.5,0
set label 1 sprintf("bands: ±10 %s, ±25 %s", PCT, PCT) at graph 0.97, 0.06 right font SMALL(6)
set samples 300 # the first is taken for a header
plot [lo:hi] "+" using 1:($1 / 1.25):($1 * 1.25) with filledcurves fc rgb "#E4E4E4" fs solid 1 noborder notitle, \
    "+" using 1:($1 / 1.1):($1 * 1.1) with filledcurves fc rgb "#C4C4C4" fs solid 1 noborder notitle, \
    x with lines lw 0.8 lc rgb MARK notitle, \
    for [i = 1:NS] DATA using (of(SERIES[i]) ? column("measured") : NaN):(column("predicted")) \
        with points pt POINT[i] ps (E_records > 200 ? 0.3 : 0.45) lc rgb COLOR[i] notitle
eval(legend_end)
# what share of the rows has an error of at most x
unset logscale
set autoscale
set xtics autofreq; set ytics autofreq
top = E_max < 12 ? 12 : E_max > 100 ? 100 : E_max
set xrange [0:top * 1.02]
set yrange [0:100]
set ytics 0, 25, 100
set xlabel sprintf("absolute error (%s of measured)", PCT)
set ylabel sprintf("rows (%s)", PCT) offset 0.5,0
set arrow 1 from 10, 0 to 10, 100 nohead lw 0.8 dt 3 lc rgb MARK
if (top >= 25) { set arrow 2 from 25, 0 to 25, 100 nohead lw 0.8 dt 3 lc rgb MARK }
set label 1 (E_max > top ? sprintf("largest: %.0f %s", E_max, PCT) : "") at graph 0.97, 0.08 right font SMALL(6)
plot for [i = 1:NS] DATA using (of(SERIES[i]) ? column("error_percent") : NaN):(column("share_percent")) \
        with steps lw 1.2 dt DASH[i] lc rgb COLOR[i] notitle, \
    DATA using (all(column("error_percent"))):(column("share_percent")) with steps lw 2 lc rgb MARK notitle, \
    DATA using (E_records == 1 ? all(column("error_percent")) : NaN):(column("share_percent")) with points pt 7 lc rgb MARK notitle
