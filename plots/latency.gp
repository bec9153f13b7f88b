# TTFT and TPOT against context, 90 % bands, measured points, crossovers
# needs: panel series type ctx value lo hi
eval(open_picture(PAGE ? 6.2 : 5.2 * NP))
panel_name(p) = p eq "ttft" ? "time to first token (s)" : p eq "tpot" ? "time per output token (ms)" : p eq "e2e" ? "end-to-end time (s)" : "energy of the prefill (J)"
scale(p) = p eq "tpot" ? 1000.0 : 1
row(p, s, t) = strcol("panel") eq p && strcol("series") eq s && strcol("type") eq t
cross(p) = strcol("panel") eq p && strcol("type") eq "cross"
human(v) = v >= 1048576 ? sprintf("%.3gM", v / 1048576) : v >= 1024 ? sprintf("%.3gk", v / 1024) : sprintf("%g", v)

set multiplot layout (PAGE || DUMB ? 1 : NP), (PAGE || DUMB ? NP : 1)
do for [k = 1:NP] {
    p = PANELS[k]
    f = scale(p)
    unset logscale; set autoscale # stats minds them
    stats DATA using (strcol("panel") eq p ? column("value") * f : NaN) name "V" nooutput
    stats DATA using (strcol("panel") eq p && strcol("type") eq "line" ? column("ctx") : NaN) name "N" nooutput
    single = N_min == N_max
    eval(ctx_axis)
    # the top is left to the legend
    eval(log_axis("y", V_min / 1.6, V_max * (k == 1 && !PAGE ? 1.6 : 1.6)))
    if (DUMB) { set title panel_name(p) } else { set ylabel panel_name(p) offset (PAGE ? -0.3 : 0.5),0 }
    if (k == 1) { set key at graph 0.03,0.99 top left } else { unset key }
    plot for [i = 1:NS] DATA using (!DUMB && row(p, SERIES[i], "line") ? column("ctx") : NaN):(column("lo") * f):(column("hi") * f) \
            with filledcurves lc rgb COLOR[i] notitle, \
        for [i = 1:NS] DATA using (row(p, SERIES[i], "line") ? column("ctx") : NaN):(column("value") * f) \
            with lines lc rgb COLOR[i] dt DASH[i] lw 1.6 title (single ? "" : NAMES[i]), \
        for [i = 1:NS] DATA using (single && row(p, SERIES[i], "line") ? column("ctx") : NaN):(column("value") * f):(column("lo") * f):(column("hi") * f) \
            with yerrorbars lc rgb COLOR[i] pt POINT[i] ps 0.6 lw 1.2 title (single ? NAMES[i] : ""), \
        for [i = 1:NS] DATA using (row(p, SERIES[i], "measured") ? column("ctx") : NaN):(column("value") * f) \
            with points lc rgb COLOR[i] pt POINT[i] ps 0.55 notitle, \
        (MEASURED && !single ? NaN : 1/0) with points lc rgb MARK pt 7 ps 0.55 title (MEASURED ? "measured" : ""), \
        DATA using (cross(p) ? column("ctx") : NaN):(column("value") * f) with points lc rgb MARK pt 6 ps 1.1 lw 1.0 notitle, \
        DATA using (cross(p) ? column("ctx") : NaN):(column("value") * f):(human(column("ctx"))) with labels boxed offset 0.4,-0.9 left font SMALL(5.5) noenhanced notitle
}
