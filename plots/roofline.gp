# Operators of a model under the DRAM and L2 slopes and the compute roofs
# needs: panel type label class phase ctx intensity rate share
COLS = PAGE || DUMB ? (NP < 2 ? NP : 2) : 1
LINES_ = ceil(NP / (COLS * 1.0))
H = (PAGE ? 5.8 : 5.4) * LINES_ + 1.7
eval(open_picture(H))
array CLS[10] = ["gemm", "attention", "scan", "conv", "norm", "elementwise", "embedding", "head", "moe", "comm"]
array CLSC[10] = ["#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#B8A800", "#CC79A7", "#7F5539", "#004B75", "#009E73", "#66C5AB"]
array CLSG[10] = ["#5C5C5C", "#A8A8A8", "#202020", "#848484", "#D0D0D0", "#C0C0C0", "#404040", "#707070", "#909090", "#B4B4B4"]
array CLSP[10] = [7, 5, 9, 11, 13, 15, 3, 7, 5, 2]
clsc(i) = GREY ? CLSG[i] : CLSC[i]
op(p, c) = strcol("panel") eq p && strcol("type") eq "op" && strcol("class") eq c
is(p, t) = strcol("panel") eq p && strcol("type") eq t
array USED[10]
do for [i = 1:10] {
    stats DATA using (strcol("class") eq CLS[i] && column("share") > 0.003 ? 1 : NaN) name "U" nooutput
    USED[i] = exists("U_records") && U_records > 0
}
T = 1e12
stats DATA using (strcol("type") eq "op" ? column("intensity") : NaN) name "X" nooutput
stats DATA using (strcol("type") eq "op" ? column("rate") / T : NaN) name "Y" nooutput
stats DATA using (strcol("type") eq "roof" ? column("rate") / T : NaN) name "R" nooutput
xlo = X_min / 2 < 0.5 ? X_min / 2 : 0.5
xhi = X_max * 3
ylo = Y_min / 3
yhi = (R_max > Y_max ? R_max : Y_max) * 4
set multiplot layout LINES_, COLS margins (DUMB ? 0.12 : PAGE ? 0.075 : 0.165), 0.97, 1.15 / H, 1 - 1.15 / H spacing 0.075, 1.3 / H
eval(legend_start(H))
do for [i = 1:10] { if (USED[i]) { eval(legend_point(CLS[i], clsc(i), CLSP[i])) } }
eval(legend_point("decode (open ring)", MARK, 6))
unset key
set style fill transparent solid 0.55
do for [k = 1:NP] {
    p = PANELS[k]
    unset logscale; set autoscale
    stats DATA using (is(p, "roof") ? column("rate") / T : NaN) name "Q" nooutput
    stats DATA using (is(p, "slope") ? column("rate") / T : NaN) name "S" nooutput
    roof = Q_max
    eval(log_axis("x", xlo, xhi))
    eval(log_axis("y", ylo, yhi))
    set xlabel "intensity (FLOP per byte of DRAM)" offset 0,0.3
    if ((k - 1) % COLS == 0) { set ylabel "rate (TFLOP/s)" offset 0.6,0 } else { unset ylabel }
    set label 1 PANEL_NAMES[k] at graph 0.97, 0.06 right noenhanced front
    line(t, l) = is(p, t) && strcol("label") eq l
    label_x = xlo * 1.3
    plot for [l in "DRAM L2 LLC"] DATA using (line("slope", l) ? column("intensity") : NaN):(column("rate") / T) with lines lw 1.4 dt 1 + (l ne "DRAM") lc rgb MARK notitle, \
        for [l in "fp32 tf32 fp16 bf16 fp8 int8 fp4 int4"] DATA using (line("roof", l) ? column("intensity") : NaN):(column("rate") / T) with lines lw 1.2 lc rgb MARK notitle, \
        DATA using (is(p, "roof") && column("intensity") > 9e5 ? xhi / 1.15 : NaN):(column("rate") / T):(strcol("label")) with labels right offset 0,0.5 font SMALL(6) noenhanced notitle, \
        for [l in "DRAM L2 LLC"] DATA using (line("slope", l) && column("intensity") < 1e-5 ? label_x : NaN):(column("rate") / column("intensity") * label_x / T):(strcol("label")) \
            with labels left offset (l eq "DRAM" ? 1.2 : -0.6),(l eq "DRAM" ? -0.2 : 0.9) font SMALL(6) noenhanced notitle, \
        for [i = 1:10] DATA using (op(p, CLS[i]) ? column("intensity") : NaN):(column("rate") / T):(0.25 + 2.4 * sqrt(column("share"))) \
            with points pt CLSP[i] ps variable lc rgb clsc(i) notitle, \
        DATA using (is(p, "op") && strcol("phase") eq "decode" ? column("intensity") : NaN):(column("rate") / T):(0.5 + 2.4 * sqrt(column("share"))) \
            with points pt 6 ps variable lw 0.5 lc rgb MARK notitle
    eval(legend_end)
}
