# Devices by latency against price, memory or energy, with the frontier
# needs: kind x_column y_column x y frontier label_x label_y label far lead_x lead_y x_lo x_hi y_lo y_hi
# draws: x y
X = ""; Y = ""
set table $COLUMNS_OF
plot DATA using (X = strcol("x_column"), Y = strcol("y_column"), XL = column("x_lo"), XH = column("x_hi"), YL = column("y_lo"), YH = column("y_hi"), column("ctx")):(0) with table
unset table
name(c) = c eq "tpot_s" ? "time per output token (s)" : c eq "ttft_s" ? "time to first token (s)" : \
    c eq "e2e_s" ? "end-to-end time (s)" : c eq "price_usd" ? "price (US dollars)" : \
    c eq "tdp_w" ? "power limit (W)" : c eq "memory.total" ? "peak memory (GiB)" : \
    c eq "energy_j.prefill" ? "energy of the prefill (J)" : c eq "energy_j.per_output_token" ? "energy per output token (J)" : \
    strstrt(c, "_bytes") || strstrt(c, "memory.") ? tex_name(c) . " (GiB)" : strstrt(c, "tokens_per_s") ? tex_name(c) . " (tokens/s)" : tex_name(c)
KINDS = "transformer ssm hybrid linear encoder"
kindc(k) = GREY ? "#5C5C5C" : k eq "ssm" ? "#D55E00" : k eq "hybrid" ? "#009E73" : k eq "linear" ? "#CC79A7" : k eq "encoder" ? "#000000" : "#0072B2"
kindp(k) = k eq "ssm" ? 9 : k eq "hybrid" ? 5 : k eq "linear" ? 13 : k eq "encoder" ? 11 : 7
THERE = ""
do for [k in KINDS] {
    stats DATA using (strcol("kind") eq k ? 1 : NaN) name "U" nooutput
    if (exists("U_records") && U_records > 0) { THERE = THERE . " " . k }
}
if (words(THERE) > 1) { do for [k in THERE] { dummy = legend_count(k) } }
FRONTIER = "frontier (filled): nobody is better in both"
dummy = legend_count(FRONTIER)
FRONT = GREY ? "#A0A0A0" : "#E69F00"
# src/plot_pareto.c places the names for an area of this size
eval(panels(1, 1, DUMB ? 8 : PAGE ? 8.0 : 6.4, 0, 0))
eval(legend_start)
if (words(THERE) > 1) { do for [k in THERE] { eval(legend_point(k, kindc(k), kindp(k))) } }
eval(legend_line(FRONTIER, FRONT, 1))
scale(c) = strstrt(c, "_bytes") || strstrt(c, "memory.") ? 2.0**30 : 1
FX = scale(X)
FY = scale(Y)
x(c) = column(c) / FX
y(c) = column(c) / FY
eval(log_axis("x", XL / FX, XH / FX))
eval(log_axis("y", YL / FY, YH / FY))
set xlabel name(X) offset 0,XLABEL
set ylabel name(Y) offset 0.5,0
unset key
unset grid
front(v) = column("frontier") == 1 ? v : NaN
of(k, f) = strcol("kind") eq k && column("frontier") == f
far(v) = column("far") == 1 ? v : NaN
plot DATA using (front(x("x"))):(y("y")) with steps lw 1.2 lc rgb FRONT notitle, \
    DATA using (far(x("x"))):(y("y")):(x("lead_x") - x("x")):(y("lead_y") - y("y")) with vectors nohead lw 0.4 lc rgb "#808080" notitle, \
    for [k in KINDS] DATA using (of(k, 0) ? x("x") : NaN):(y("y")) \
        with points pt kindp(k) - 1 ps 0.5 lc rgb kindc(k) notitle, \
    for [k in KINDS] DATA using (of(k, 1) ? x("x") : NaN):(y("y")) \
        with points pt kindp(k) ps 0.65 lc rgb kindc(k) notitle, \
    DATA using (strlen(strcol("label")) ? x("label_x") : NaN):(y("label_y")):(tex_name(strcol("label"))) with labels left offset 0,0 font SMALL(6) noenhanced notitle
