# Parts of peak memory against context, capacity, where each model stops
# needs: series type ctx weights kv_cache state activations logits workspace total capacity max_ctx
NPANEL = NS
COLS = PAGE || DUMB ? (NS < 3 ? NS : 3) : 1
LINES_ = ceil(NPANEL / (COLS * 1.0))
H = (PAGE ? 4.6 : 3.4) * LINES_ + 2.0
eval(open_picture(H))
GiB = 2.0**30
array PART[6] = ["weights", "kv_cache", "state", "activations", "logits", "workspace"]
array PARTNAME[6] = ["weights", "KV cache", "state", "activations", "logits", "workspace"]
array PARTC[6] = ["#999999", "#0072B2", "#D55E00", "#F0E442", "#56B4E9", "#E8E8E8"]
array PARTG[6] = ["#606060", "#9A9A9A", "#303030", "#F0F0F0", "#C8C8C8", "#FFFFFF"]
partc(i) = GREY ? PARTG[i] : PARTC[i]
sel(s, t) = strcol("series") eq s && strcol("type") eq t
upto(k) = (k >= 1 ? column("weights") : 0) + (k >= 2 ? column("kv_cache") : 0) + (k >= 3 ? column("state") : 0) \
    + (k >= 4 ? column("activations") : 0) + (k >= 5 ? column("logits") : 0) + (k >= 6 ? column("workspace") : 0)
human(v) = v >= 1048576 ? sprintf("%.3gM", v / 1048576) : v >= 1024 ? sprintf("%.3gk", v / 1024) : sprintf("%g", v)

stats DATA using (column("total") / GiB) name "T" nooutput
stats DATA using (column("capacity") / GiB) name "C" nooutput
top = 1.3 * C_max
set style fill solid 1.0 border lc rgb "#FFFFFF"
set multiplot layout LINES_, COLS margins (DUMB ? 0.1 : PAGE ? 0.065 : 0.14), 0.97, 1.15 / H, 1 - 0.95 / H spacing (PAGE ? 0.045 : 0.1), 0.65 / H
eval(legend_start(H))
do for [i = 1:6] { eval(legend_box(PARTNAME[i], partc(i))) }
eval(legend_line("capacity", MARK, 2))
if (MEASURED) { eval(legend_point("measured", MARK, 7)) }
unset key
do for [k = 1:NS] {
    s = SERIES[k]
    unset logscale; set autoscale; unset label 1; unset label 2; unset arrow 1
    stats DATA using (sel(s, "line") ? column("max_ctx") : NaN) name "M" nooutput
    stats DATA using (sel(s, "line") ? column("capacity") / GiB : NaN) name "K" nooutput
    eval(PAGE && NS > 2 ? ctx_axis_few : ctx_axis)
    if (k <= NS - COLS) { unset xlabel }
    set yrange [0:top]
    set ytics autofreq
    if ((k - 1) % COLS == 0) { set ylabel "peak memory (GiB)" offset 0.8,0 } else { unset ylabel }
    set label 1 NAMES[k] at graph 0.03, 0.93 left noenhanced front
    stop = exists("M_records") && M_records > 0 ? M_max : 0
    if (stop >= CTX_MIN && stop <= CTX_MAX) {
        set arrow 1 from stop, 0 to stop, K_max nohead lw 1.2 dt 3 lc rgb MARK front
        set label 2 human(stop) at stop, K_max * 1.03 right offset -0.4,0.5 front font SMALL(6)
    }
    plot for [j = 6:1:-1] DATA using (sel(s, "line") ? column("ctx") : NaN):(0):(upto(j) > top * GiB ? top : upto(j) / GiB) \
            with filledcurves fc rgb partc(j) fs solid 1.0 noborder notitle, \
        for [j = 1:5] DATA using (sel(s, "line") ? column("ctx") : NaN):(upto(j) > top * GiB ? NaN : upto(j) / GiB) \
            with lines lw 0.4 lc rgb (GREY ? "#000000" : "#FFFFFF") notitle, \
        DATA using (sel(s, "line") ? column("ctx") : NaN):(column("capacity") / GiB) \
            with lines lw 1.4 dt 2 lc rgb MARK notitle, \
        DATA using (sel(s, "measured") ? column("ctx") : NaN):(column("total") / GiB) \
            with points pt 7 ps 0.5 lc rgb MARK notitle
    eval(legend_end)
}
