# TTFT and TPOT against context, 90 % bands, measured points, crossovers
# needs: panel series type ctx value lo hi
# draws: value
panel_name(p) = p eq "ttft" ? "time to first token (s)" : p eq "tpot" ? "time per output token (ms)" : p eq "e2e" ? "end-to-end time (s)" : "energy of the prefill (J)"
scale(p) = p eq "tpot" ? 1000.0 : 1
row(p, s, t) = strcol("panel") eq p && strcol("series") eq s && strcol("type") eq t
cross(p) = strcol("panel") eq p && strcol("type") eq "cross"
stats DATA using (strcol("type") eq "line" ? column("ctx") : NaN) name "N" nooutput
single = !exists("N_records") || N_records == 0 || N_min == N_max
stats DATA using (strcol("type") eq "cross" ? column("ctx") : NaN) name "X" nooutput
crossing = exists("X_records") && X_records > 0
BAND = "90 " . PCT . " interval"
points_named = MEASURED ? "points: measured" : ""
do for [i = 1:NS] { dummy = legend_count(NAMES[i]) }
dummy = legend_count(BAND)
if (MEASURED) { dummy = legend_count(points_named) }
if (crossing) { dummy = legend_count("crossing") }
GAP_X = 1.45
eval(panels(NP, PAGE || DUMB ? (NP < 2 ? NP : 2) : 1, DUMB ? 8 : PAGE ? 4.6 : 3.9, 0, 1.15))
eval(legend_start)
do for [i = 1:NS] { eval(MEASURED || single ? legend_both(NAMES[i], COLOR[i], DASH[i], POINT[i]) : legend_line(NAMES[i], COLOR[i], DASH[i])) }
eval(single ? legend_line(BAND, MARK, 1) : legend_box(BAND, "#DDDDDD"))
if (MEASURED) { eval(legend_point(points_named, MARK, 7)) }
if (crossing) { eval(legend_point("crossing", MARK, 6)) }
# labels of crossings that would stand on each other are left out
far(x) = abs(log(x / LAST_X)) > 0.11 * log(CTX_MAX * 1.0 / CTX_MIN) ? (LAST_X = x, x) : NaN
do for [k = 1:NP] {
    p = PANELS[k]
    f = scale(p)
    LAST_X = 1e-9
    unset logscale; set autoscale # stats minds them
    stats DATA using (strcol("panel") eq p ? column("value") * f : NaN) name "V" nooutput
    stats DATA using (strcol("panel") eq p && column("lo") > 0 ? column("lo") * f : NaN) name "L" nooutput
    stats DATA using (strcol("panel") eq p ? column("hi") * f : NaN) name "U" nooutput
    eval(ctx_axis)
    eval(log_axis("y", (L_records > 0 && L_min < V_min ? L_min : V_min) / 1.3, (U_records > 0 && U_max > V_max ? U_max : V_max) * 1.3))
    if (DUMB) { set title panel_name(p); set key top left } else { set ylabel panel_name(p) offset 0.5,0; unset key }
    plot for [i = 1:NS] DATA using (!DUMB && !single && row(p, SERIES[i], "line") ? column("ctx") : NaN):(column("lo") * f):(column("hi") * f) \
            with filledcurves lc rgb COLOR[i] notitle, \
        for [i = 1:NS] DATA using (!single && row(p, SERIES[i], "line") ? column("ctx") : NaN):(column("value") * f) \
            with lines lc rgb COLOR[i] dt DASH[i] lw 1.6 title (single ? "" : NAMES[i]), \
        for [i = 1:NS] DATA using (single && row(p, SERIES[i], "line") ? column("ctx") * 2**((i - (NS + 1) / 2.0) * 0.8 / NS) : NaN):(column("value") * f):(column("lo") * f):(column("hi") * f) \
            with yerrorbars lc rgb COLOR[i] pt POINT[i] ps 0.6 lw 1.2 title (single ? NAMES[i] : ""), \
        for [i = 1:NS] DATA using (row(p, SERIES[i], "measured") ? column("ctx") : NaN):(column("value") * f) \
            with points lc rgb "#FFFFFF" pt POINT[i] ps 0.75 notitle, \
        for [i = 1:NS] DATA using (row(p, SERIES[i], "measured") ? column("ctx") : NaN):(column("value") * f) \
            with points lc rgb COLOR[i] pt POINT[i] ps 0.55 notitle, \
        DATA using (cross(p) ? column("ctx") : NaN):(column("value") * f) with points lc rgb MARK pt 6 ps 1.0 lw 1.0 notitle, \
        DATA using (cross(p) ? far(column("ctx")) : NaN):(column("value") * f):(human(column("ctx"))) with labels @BOXED offset 0.6,-0.8 left font SMALL(6) noenhanced notitle
    eval(legend_end)
}
