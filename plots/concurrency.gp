# Tokens per joule and per dollar against context at the largest batch that fits
# needs: panel series ctx batch value
# draws: value
what(p) = p eq "per_watt" ? "tokens/s per W" : "tokens/s per 1000 USD"
row(p, s) = strcol("panel") eq p && strcol("series") eq s
BATCHES = sprintf("numbers: largest batch that fits, if below %d", BATCH_MAX)
do for [i = 1:NS] { dummy = legend_count(NAMES[i]) }
dummy = legend_count(BATCHES)
GAP_X = 1.45
eval(panels(NP, PAGE || DUMB ? NP : 1, DUMB ? 8 : PAGE ? 4.6 : 3.9, 0, 1.15))
eval(legend_start)
do for [i = 1:NS] { eval(legend_both(NAMES[i], COLOR[i], DASH[i], POINT[i])) }
eval(legend_text_only(BATCHES))
do for [k = 1:NP] {
    p = PANELS[k]
    unset logscale; set autoscale
    stats DATA using (strcol("panel") eq p ? column("value") : NaN) name "V" nooutput
    eval(ctx_axis)
    eval(log_axis("y", V_min / 2.2, V_max * 1.9))
    if (DUMB) { set title what(p); set key bottom left } else { set ylabel what(p) offset 0.5,0; unset key }
    # each series' numbers stand below its points, at every second one of a long row
    plot for [i = 1:NS] DATA using (row(p, SERIES[i]) ? column("ctx") : NaN):(column("value")) \
            with linespoints lc rgb COLOR[i] dt DASH[i] pt POINT[i] ps 0.5 lw 1.4 title (DUMB ? NAMES[i] : ""), \
        for [i = 1:NS] DATA using (row(p, SERIES[i]) && column("batch") < BATCH_MAX && (int($0) % (CTX_MAX / CTX_MIN < 20 ? 1 : 2) == 0) ? column("ctx") : NaN):(column("value")):(sprintf("%d", column("batch"))) \
            with labels offset 0,-0.75 font SMALL(6) tc rgb COLOR[i] notitle
    eval(legend_end)
}
