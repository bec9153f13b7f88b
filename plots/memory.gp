# Parts of peak memory against context, capacity, where each model stops
# needs: series type ctx weights kv_cache state activations logits workspace total capacity max_ctx
# draws: total capacity
array PART[6] = ["weights", "kv_cache", "state", "activations", "logits", "workspace"]
array PARTNAME[6] = ["weights", "KV cache", "state", "activations", "logits", "workspace"]
array PARTC[6] = ["#404040", "#0072B2", "#D55E00", "#F0E442", "#56B4E9", "#FFFFFF"]
array PARTG[6] = ["#606060", "#9A9A9A", "#303030", "#F0F0F0", "#C8C8C8", "#FFFFFF"]
partc(i) = GREY ? PARTG[i] : PARTC[i]
GiB = 2.0**30
sel(s, t) = strcol("series") eq s && strcol("type") eq t
upto(k) = (k >= 1 ? column("weights") : 0) + (k >= 2 ? column("kv_cache") : 0) + (k >= 3 ? column("state") : 0) \
    + (k >= 4 ? column("activations") : 0) + (k >= 5 ? column("logits") : 0) + (k >= 6 ? column("workspace") : 0)
array USED[6]
do for [i = 1:6] {
    stats DATA using (column(PART[i]) > 0.005 * column("total") ? 1 : NaN) name "U" nooutput
    USED[i] = exists("U_records") && U_records > 0
    if (USED[i]) { dummy = legend_count(PARTNAME[i]) }
}
if (MEASURED) { dummy = legend_count("measured") }
GAP_X = 0.75
eval(panels(NS, PAGE || DUMB ? (NS < (DUMB ? 2 : 3) ? NS : DUMB ? 2 : 3) : 1, DUMB ? 8 : PAGE ? 3.9 : 2.8, 0, 0.75))
eval(legend_start)
do for [i = 1:6] { if (USED[i]) { eval(legend_box(PARTNAME[i], partc(i))) } }
if (MEASURED) { eval(legend_point("measured", MARK, 7)) }
unset key
do for [k = 1:NS] {
    s = SERIES[k]
    unset logscale; set autoscale; unset label 1; unset label 2; unset label 3; unset arrow 1
    stats DATA using (sel(s, "line") ? column("max_ctx") : NaN) name "M" nooutput
    stats DATA using (sel(s, "line") ? column("capacity") / GiB : NaN) name "K" nooutput
    stats DATA using (sel(s, "line") ? column("total") / GiB : NaN) name "T" nooutput
    stats DATA using (sel(s, "line") ? column("weights") / GiB : NaN) name "W" nooutput
    stop = exists("M_records") && M_records > 0 ? M_max : -1
    # full before the first context: the axis shows the whole stack, with room above both
    none = stop >= 0 && stop < CTX_MIN
    top = none && 1.36 * T_max > 1.7 * K_max ? 1.36 * T_max : (none ? 1.7 : 1.36) * K_max
    eval(COLS > 2 ? ctx_axis_few : ctx_axis)
    if (k <= NS - COLS) { unset xlabel }
    set yrange [0:top]
    set ytics autofreq
    if (DUMB) { set title NAMES[k]; set key at graph 0.02, 0.7 top left } else { set label 1 NAMES[k] at graph 0.03, 0.92 left noenhanced front }
    if (first_column(k) && !DUMB) { set ylabel "peak memory (GiB)" offset 0.5,0 } else { unset ylabel }
    if (none) { set label 2 sprintf("capacity %.3g GiB", K_max) at graph 0.03, first K_max left offset 0,0.75 front @BOXED font SMALL(6) } \
    else { if (k == 1 || K_max != shown) { set label 2 sprintf("capacity %.3g GiB", K_max) at graph 0.03, first K_max left offset 0,0.55 front font SMALL(6) } }
    shown = none ? -1 : K_max
    # beside the stop where there is room, else on the area beyond it
    beyond = stop >= CTX_MIN && stop <= CTX_MAX && log(stop / CTX_MIN) < (COLS > 2 ? 0.8 : 0.62) * log(CTX_MAX / CTX_MIN)
    TEXT = stop < 0 ? "no limit" : stop >= 1 ? "stops at " . human(stop) : (T_min > K_max ? "does not fit: " : "does not fit beside the runtime: ") \
        . sprintf("%.3g GiB at %s", T_min, human(CTX_MIN))
    AT = stop < CTX_MIN || stop > CTX_MAX ? CTX_MAX : stop
    if (none && !DUMB) { set label 3 TEXT at graph 0.03, 0.92 left offset 0,-1.1 noenhanced front font SMALL(6) } \
    else { if (beyond) { set label 3 TEXT at AT, K_max left offset 0.5,0.7 front @BOXED font SMALL(6) } \
    else { set label 3 TEXT at AT, K_max right offset -0.4,0.55 front font SMALL(6) } }
    if (stop >= CTX_MIN && stop <= CTX_MAX) { set arrow 1 from stop, 0 to stop, K_max nohead lw 1.2 dt 3 lc rgb MARK front }
    plot for [j = 6:1:-1] DATA using (!DUMB && sel(s, "line") && USED[j] ? column("ctx") : NaN):(0):(upto(j) > top * GiB ? top : upto(j) / GiB) \
            with filledcurves fc rgb partc(j) fs solid 1.0 noborder notitle, \
        for [j = 1:6] DATA using (!DUMB && sel(s, "line") && USED[j] ? column("ctx") : NaN):(upto(j) > top * GiB ? NaN : upto(j) / GiB) \
            with lines lw (j == 6 || GREY ? 0.5 : 0.4) lc rgb (GREY ? "#000000" : "#FFFFFF") notitle, \
        for [j = 1:6] DATA using (DUMB && sel(s, "line") && USED[j] ? column("ctx") : NaN):(column(PART[j]) > top * GiB ? NaN : column(PART[j]) / GiB) \
            with lines title (DUMB && USED[j] ? PARTNAME[j] : ""), \
        DATA using (!DUMB && sel(s, "line") ? column("ctx") : NaN):(upto(6) > top * GiB ? NaN : upto(6) / GiB) with lines lw 0.6 lc rgb MARK notitle, \
        DATA using (sel(s, "line") ? column("ctx") : NaN):(column("capacity") / GiB) \
            with lines lw 1.4 dt 2 lc rgb (K_max < W_min ? "#FFFFFF" : MARK) title "capacity", \
        DATA using (sel(s, "measured") ? column("ctx") : NaN):(column("total") / GiB) \
            with points pt 7 ps 0.6 lc rgb "#FFFFFF" notitle, \
        DATA using (sel(s, "measured") ? column("ctx") : NaN):(column("total") / GiB) \
            with points pt 7 ps 0.42 lc rgb MARK notitle
    eval(legend_end)
}
