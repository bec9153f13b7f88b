# Operators of a model under the DRAM and L2 slopes and the compute roofs
# needs: panel type label class phase ctx intensity rate share to_intensity to_rate mark
# draws: intensity rate
op(p, c) = strcol("panel") eq p && strcol("type") eq "op" && strcol("class") eq c
is(p, t) = strcol("panel") eq p && strcol("type") eq t
array USED[10]
do for [i = 1:10] {
    stats DATA using (strcol("class") eq CLS[i] && column("share") > 0.003 ? 1 : NaN) name "U" nooutput
    USED[i] = exists("U_records") && U_records > 0
    if (USED[i]) { dummy = legend_count(CLS[i]) }
}
stats DATA using (strcol("phase") eq "decode" ? 1 : NaN) name "D" nooutput
stats DATA using (strcol("phase") eq "prefill" ? 1 : NaN) name "F" nooutput
both = exists("D_records") && exists("F_records") && D_records > 0 && F_records > 0
if (both) { dummy = legend_count("ringed: decode") }
AREA = "area: share of time in its phase"
dummy = legend_count(AREA)
T = 1e12
stats DATA using (strcol("type") eq "op" ? column("intensity") : NaN) name "X" nooutput
stats DATA using (strcol("type") eq "op" ? column("rate") / T : NaN) name "Y" nooutput
stats DATA using (strcol("type") eq "roof" ? column("rate") / T : NaN) name "R" nooutput
xlo = X_min / 2 < 0.5 ? X_min / 2 : 0.5
xhi = X_max * 3
ylo = Y_min / 3
yhi = (R_max > Y_max ? R_max : Y_max) * 3
RIGHT = 0.75
GAP_X = 1.5
eval(panels(NP, PAGE || DUMB ? (NP < 2 ? NP : 2) : 1, DUMB ? 8 : PAGE ? 5.4 : 4.6, 0, 1.2))
eval(legend_start)
do for [i = 1:10] { if (USED[i]) { eval(legend_point(CLS[i], clsc(i), CLSP[i])) } }
if (both) { eval(legend_point("ringed: decode", MARK, 6)) }
eval(legend_text_only(AREA))
unset key
set style fill transparent solid 0.55
size(s) = 0.25 + 2.4 * sqrt(s)
do for [k = 1:NP] {
    p = PANELS[k]
    eval(log_axis("x", xlo, xhi))
    eval(log_axis("y", ylo, yhi))
    set xlabel "intensity (FLOP per byte of DRAM)" offset 0,XLABEL
    if (first_column(k)) { set ylabel "rate (TFLOP/s)" offset 0.5,0 } else { unset ylabel }
    set label 1 PANEL_NAMES[k] at graph 0.97, 0.07 right noenhanced front
    line(t, l) = is(p, t) && strcol("label") eq l
    label_x = xlo * 1.15
    plot for [l in "DRAM L2 LLC"] DATA using (line("slope", l) ? column("intensity") : NaN):(column("rate") / T) with lines lw 1.4 dt 1 + (l ne "DRAM") lc rgb MARK notitle, \
        for [l in "fp32 tf32 fp16 bf16 fp8 int8 fp4 int4"] DATA using (line("roof", l) ? column("intensity") : NaN):(column("rate") / T) with lines lw 1.2 lc rgb MARK notitle, \
        DATA using (is(p, "roof") && column("intensity") > 9e5 ? xhi * 0.9999 : NaN):(column("rate") / T):(strcol("label")) with labels left offset 0.4,0 font SMALL(6) noenhanced notitle, \
        for [l in "DRAM L2 LLC"] DATA using (line("slope", l) && column("intensity") < 1e-5 ? label_x : NaN):(column("rate") / column("intensity") * label_x / T):(strcol("label")) \
            with labels left offset (l eq "DRAM" ? 1.2 : 0),(l eq "DRAM" ? -0.3 : 1.1) font SMALL(6) noenhanced notitle, \
        for [i = 1:10] DATA using (op(p, CLS[i]) && column("to_intensity") > 0 && column("share") > 0.01 ? column("intensity") : NaN):(column("rate") / T):(column("to_intensity") - column("intensity")):((column("to_rate") - column("rate")) / T) \
            with vectors head filled size screen 0.008,20 lw 0.8 lc rgb clsc(i) notitle, \
        for [i = 1:10] DATA using (op(p, CLS[i]) ? column("intensity") : NaN):(column("rate") / T):(size(column("share"))) \
            with points pt CLSP[i] ps variable lc rgb clsc(i) notitle, \
        DATA using (both && is(p, "op") && strcol("phase") eq "decode" ? column("intensity") : NaN):(column("rate") / T):(size(column("share")) + 0.25) \
            with points pt 6 ps variable lw 0.5 lc rgb MARK notitle, \
        DATA using (is(p, "op") && strlen(strcol("mark")) ? column("intensity") : NaN):(column("rate") / T):(strcol("mark")) \
            with labels center offset 0,(FORMAT eq "svg" ? -0.7 : -1.1) font SMALL(6) noenhanced notitle
    eval(legend_end)
}
