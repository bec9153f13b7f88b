# Tokens per joule and per dollar against context at the largest batch that fits
# needs: panel series ctx batch value
eval(open_picture(PAGE ? 6.2 : 10.4))
what(p) = p eq "per_watt" ? "tokens/s per W" : "tokens/s per 1000 USD"
row(p, s) = strcol("panel") eq p && strcol("series") eq s
set multiplot layout (PAGE || DUMB ? 1 : NP), (PAGE || DUMB ? NP : 1)
do for [k = 1:NP] {
    p = PANELS[k]
    unset logscale; set autoscale
    stats DATA using (strcol("panel") eq p ? column("value") : NaN) name "V" nooutput
    eval(ctx_axis)
    eval(log_axis("y", V_min / 1.7, V_max * 5))
    if (DUMB) { set title what(p) } else { set ylabel what(p) offset (PAGE ? -0.3 : 0.5),0 }
    if (k == 1) { set key bottom left at graph 0.02, 0.02 } else { unset key }
    set label 1 sprintf("numbers: largest batch that fits, where below %d", BATCH_MAX) at graph 0.98, 0.96 right font SMALL(5.5)
    plot for [i = 1:NS] DATA using (row(p, SERIES[i]) ? column("ctx") : NaN):(column("value")) \
            with linespoints lc rgb COLOR[i] dt DASH[i] pt POINT[i] ps 0.5 lw 1.4 title NAMES[i], \
        for [i = 1:NS] DATA using (row(p, SERIES[i]) && column("batch") < BATCH_MAX && (int($0 + i) % 2 == 0 || CTX_MAX / CTX_MIN < 20) ? column("ctx") : NaN):(column("value")):(sprintf("%d", column("batch"))) \
            with labels offset 0,(i == 1 ? -0.85 : 0.8) font SMALL(5) tc rgb COLOR[i] notitle
}
