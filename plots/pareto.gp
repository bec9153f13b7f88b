# Devices by latency against price, memory or energy, with the frontier
# needs: kind x_column y_column x y frontier label_x label_y label far lead_x x_lo x_hi y_lo y_hi
eval(open_picture(PAGE ? 9 : 6.6))
X = ""; Y = ""
set table $COLUMNS_OF
plot DATA using (X = strcol("x_column"), Y = strcol("y_column"), XL = column("x_lo"), XH = column("x_hi"), YL = column("y_lo"), YH = column("y_hi"), column("ctx")):(0) with table
unset table
name(c) = c eq "tpot_s" ? "time per output token (s)" : c eq "ttft_s" ? "time to first token (s)" : \
    c eq "e2e_s" ? "end-to-end time (s)" : c eq "price_usd" ? "price (US dollars)" : \
    c eq "tdp_w" ? "power limit (W)" : c eq "memory.total" ? "memory (bytes)" : \
    strstrt(c, "_j") || strstrt(c, "energy") ? "energy (J), " . c : TEX ? "value" : c
eval(log_axis("x", XL, XH))
eval(log_axis("y", YL, YH))
set xlabel name(X) offset 0,0.3
set ylabel name(Y) offset 0.4,0
unset key
front(v) = column("frontier") == 1 ? v : NaN
kindc(k) = GREY ? "#5C5C5C" : k eq "ssm" ? "#D55E00" : k eq "hybrid" ? "#009E73" : k eq "linear" ? "#CC79A7" : k eq "encoder" ? "#000000" : "#0072B2"
kindp(k) = k eq "ssm" ? 9 : k eq "hybrid" ? 5 : k eq "linear" ? 13 : k eq "encoder" ? 11 : 7
of(k, f) = strcol("kind") eq k && column("frontier") == f
far(v) = column("far") == 1 ? v : NaN
plot DATA using (front(column("x"))):(column("y")) with steps lw 1.2 lc rgb (GREY ? "#A0A0A0" : "#E69F00") notitle, \
    DATA using (far(column("x"))):(column("y")):(column("lead_x") - column("x")):(column("label_y") - column("y")) with vectors nohead lw 0.4 lc rgb "#909090" notitle, \
    for [k in "transformer ssm hybrid linear encoder"] DATA using (of(k, 0) ? column("x") : NaN):(column("y")) \
        with points pt kindp(k) - 1 ps 0.5 lc rgb kindc(k) notitle, \
    for [k in "transformer ssm hybrid linear encoder"] DATA using (of(k, 1) ? column("x") : NaN):(column("y")) \
        with points pt kindp(k) ps 0.65 lc rgb kindc(k) notitle, \
    DATA using (strlen(strcol("label")) ? column("label_x") : NaN):(column("label_y")):(strcol("label")) with labels left offset 0,0 font SMALL(5.5) noenhanced notitle
