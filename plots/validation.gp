# Predicted against measured, +-10 % and +-25 % bands, and the error's distribution
# needs: type series unit measured predicted error_percent share_percent
eval(open_picture(PAGE ? 7.4 : 11.6))
set multiplot layout (PAGE || DUMB ? 1 : 2), (PAGE || DUMB ? 2 : 1)
stats DATA using (column("measured")) name "M" nooutput
stats DATA using (column("predicted")) name "P" nooutput
lo = (M_min < P_min ? M_min : P_min) / 1.5
hi = (M_max > P_max ? M_max : P_max) * 1.5
of(s) = strcol("type") eq "row" && strcol("series") eq s
all(v) = strcol("type") eq "all" ? v : NaN
eval(log_axis("x", lo, hi))
eval(log_axis("y", lo, hi))
UNIT = ""
set table $UNITS
plot DATA using (UNIT = strstrt(UNIT, strcol("unit")) ? UNIT : UNIT . (UNIT eq "" ? "" : ", ") . strcol("unit"), column("measured")):(0) with table
unset table
set xlabel sprintf("measured (%s)", UNIT) offset 0,0.3
set ylabel sprintf("predicted (%s)", UNIT) offset 0.4,0
set key top left at graph 0.02, 0.99 samplen 0.6
set label 1 sprintf("bands: ±10 %s, ±25 %s", PCT, PCT) at graph 0.97, 0.07 right font SMALL(6)
set samples 300 # the first is taken for a header
plot [lo:hi] "+" using 1:($1 / 1.25):($1 * 1.25) with filledcurves fc rgb "#E4E4E4" fs solid 1 noborder notitle, \
    "+" using 1:($1 / 1.1):($1 * 1.1) with filledcurves fc rgb "#C4C4C4" fs solid 1 noborder notitle, \
    x with lines lw 0.8 lc rgb MARK notitle, \
    for [i = 1:NS] DATA using (of(SERIES[i]) ? column("measured") : NaN):(column("predicted")) \
        with points pt POINT[i] ps 0.45 lc rgb COLOR[i] title NAMES[i]
unset logscale
set autoscale
set xtics autofreq; set ytics autofreq
# what share of the rows has an error of at most x
stats DATA using (all(column("error_percent"))) name "E" nooutput
top = E_max < 12 ? 12 : E_max > 100 ? 100 : E_max
set xrange [0:top * 1.02]
set yrange [0:100]
set ytics 0, 25, 100
set xlabel sprintf("absolute error (%s of measured)", PCT)
set ylabel sprintf("rows (%s)", PCT) offset 0.4,0
set arrow 1 from 10, 0 to 10, 100 nohead lw 0.8 dt 3 lc rgb MARK
set arrow 2 from 25, 0 to 25, (top >= 25 ? 100 : 0) nohead lw 0.8 dt 3 lc rgb MARK
set label 1 sprintf("median %.1f %s, %d rows", E_median, PCT, E_records) at graph 0.97, 0.08 right
unset key
plot for [i = 1:NS] DATA using (of(SERIES[i]) ? column("error_percent") : NaN):(column("share_percent")) \
        with steps lw 1.2 dt DASH[i] lc rgb COLOR[i] notitle, \
    DATA using (all(column("error_percent"))):(column("share_percent")) with steps lw 2 lc rgb MARK notitle
