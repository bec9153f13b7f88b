# Share of time by operator class against context, prefill and decode
# needs: panel series phase ctx gemm attention scan conv norm elementwise embedding head moe comm launch
COLS = PAGE || DUMB ? (NP < 4 ? NP : 4) : (NP < 2 ? NP : 2)
LINES_ = ceil(NP / (COLS * 1.0))
H = (PAGE ? 4.2 : 3.5) * LINES_ + 2.2
eval(open_picture(H))
array CLS[11] = ["gemm", "attention", "scan", "conv", "norm", "elementwise", "embedding", "head", "moe", "comm", "launch"]
array CLSC[11] = ["#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#F0E442", "#CC79A7", "#7F5539", "#004B75", "#009E73", "#66C5AB", "#BBBBBB"]
array CLSG[11] = ["#5C5C5C", "#A8A8A8", "#202020", "#848484", "#E0E0E0", "#C0C0C0", "#404040", "#707070", "#909090", "#B4B4B4", "#F4F4F4"]
clsc(i) = GREY ? CLSG[i] : CLSC[i]
array USED[11]
do for [i = 1:11] {
    stats DATA using (column(CLS[i])) name "U" nooutput
    USED[i] = exists("U_records") && U_records > 0 && U_max > 0.004
}
upto(k) = sum [j = 1:k] (valid(j + 5) ? column(CLS[j]) : 0)
sel(p) = strcol("panel") eq p
single = CTX_MIN == CTX_MAX
set multiplot layout LINES_, COLS margins (PAGE ? 0.06 : 0.13), 0.97, 1.0 / H, 1 - (PAGE ? 1.0 : 1.45) / H spacing (PAGE ? 0.025 : 0.05), 1.05 / H
eval(legend_start(H))
do for [i = 1:11] { if (USED[i]) { eval(legend_box(CLS[i], clsc(i))) } }
unset key
do for [k = 1:NP] {
    p = PANELS[k]
    set yrange [0:100]
    eval(ctx_axis_few)
    if (single) { set xrange [CTX_MIN / 1.5 : CTX_MIN * 1.5] }
    if (k <= NP - COLS) { unset xlabel } else { set xlabel "context (tokens)" offset 0,0.4 }
    set ytics 0, 25, 100
    if ((k - 1) % COLS == 0) { set ylabel "share of time (" . PCT . ")" offset 1,0; set ytics format "%g" } else { unset ylabel; set ytics format "" }
    c = strstrt(PANEL_NAMES[k], ":")
    set title PANEL_NAMES[k][1:c-1] . ", " . PANEL_NAMES[k][c+1:*] noenhanced offset 0,-0.8 font SMALL(6.2)
    plot for [j = 11:1:-1] DATA using (sel(p) && !single ? column("ctx") : NaN):(0):(100 * upto(j)) \
            with filledcurves fc rgb clsc(j) fs solid 1.0 noborder notitle, \
        for [j = 1:10] DATA using (sel(p) && !single ? column("ctx") : NaN):(100 * upto(j)) \
            with lines lw 0.4 lc rgb (GREY ? "#000000" : "#FFFFFF") notitle, \
        for [j = 11:1:-1] DATA using (sel(p) && single ? column("ctx") : NaN):(100 * upto(j)):(column("ctx") / 2) \
            with boxes fc rgb clsc(j) fs solid 1.0 border lc rgb MARK lw 0.3 notitle
    eval(legend_end)
}
