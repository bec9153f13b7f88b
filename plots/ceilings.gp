# Bandwidth and FLOP ceilings of a device: sheet and measured, with intervals
# needs: panel ceiling type value lo hi place first
eval(open_picture(PAGE ? 6.2 : 10.4))
set multiplot layout (PAGE || DUMB ? 1 : NP), (PAGE || DUMB ? NP : 1)
scale(p) = p eq "bandwidth" ? 1e9 : 1e12
unit(p) = p eq "bandwidth" ? "bandwidth (GB/s)" : "rate (TFLOP/s)"
array KIND[5] = ["datasheet", "derived", "burst", "sustained", "prior"]
array KPOINT[5] = [4, 8, 10, 7, 1]
array KCOLOR[5] = ["#000000", "#000000", "#E69F00", "#0072B2", "#D55E00"]
array KGREY[5] = ["#000000", "#000000", "#909090", "#505050", "#707070"]
do for [k = 1:NP] {
    p = PANELS[k]
    f = scale(p)
    unset logscale; set autoscale
    stats DATA using (strcol("panel") eq p ? column("lo") / f : NaN) name "L" nooutput
    stats DATA using (strcol("panel") eq p ? column("hi") / f : NaN) name "G" nooutput
    stats DATA using (strcol("panel") eq p ? column("place") : NaN) name "N" nooutput
    many = N_max
    unset xtics
    set xrange [0.4:many + 0.6]
    eval(log_axis("y", L_min / 1.8, G_max * (k == 1 ? 16 : 3)))
    set ylabel unit(p) offset 0.5,0
    unset xlabel
    if (k == 1) { set key top left at graph 0.02, 0.99 maxrows 2 samplen 0.6 } else { unset key }
    low = L_min / 1.8
    tilt = many > 8 ? 90 : 0
    is(k) = strcol("panel") eq p && strcol("type") eq k
    plot for [j = 1:5] DATA using (is(KIND[j]) ? column("place") + (j == 1 || j == 2 ? -0.12 : 0.12) : NaN):(column("value") / f):(column("lo") / f):(column("hi") / f) \
            with yerrorbars pt KPOINT[j] ps 0.7 lw 1.2 lc rgb (GREY ? KGREY[j] : KCOLOR[j]) title (k == 1 ? KIND[j] : ""), \
        DATA using (strcol("panel") eq p && column("first") == 1 ? column("place") : NaN):(low):(strcol("ceiling")) \
            with labels offset 0,(tilt ? -1.6 : -0.9) rotate by tilt noenhanced notitle
}
