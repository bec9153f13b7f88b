# Bandwidth and FLOP ceilings of a device: sheet and measured, curves from bench
# needs: panel series ceiling type value lo hi place first size device
# draws: value
# most: 6 device
array KIND[5] = ["datasheet", "derived", "burst", "sustained", "prior"]
array KPOINT[5] = [4, 8, 10, 7, 1]
array KCOLOR[5] = ["#000000", "#000000", "#E69F00", "#0072B2", "#D55E00"]
array KGREY[5] = ["#000000", "#000000", "#909090", "#505050", "#707070"]
kindc(j) = GREY ? KGREY[j] : KCOLOR[j]
bytes(p) = strstrt(p, "bandwidth") == 1
curve(p) = strstrt(p, "_curve") > 0
scale(p) = bytes(p) ? 1e9 : 1e12
unit(p) = bytes(p) ? "bandwidth (GB/s)" : "rate (TFLOP/s)"
xunit(p) = bytes(p) ? "working set (bytes)" : "work of a run (FLOP)"
size_name(e) = e >= 30 ? sprintf("%dG", 2**(e - 30)) : e >= 20 ? sprintf("%dM", 2**(e - 20)) : e >= 10 ? sprintf("%dk", 2**(e - 10)) : sprintf("%d", 2**e)
array THERE[5]
do for [j = 1:5] {
    stats DATA using (strcol("type") eq KIND[j] ? 1 : NaN) name "U" nooutput
    THERE[j] = exists("U_records") && U_records > 0
    if (THERE[j]) { dummy = legend_count(KIND[j]) }
}
do for [i = 1:NS] { dummy = legend_count(NAMES[i]) }
# names of ceilings stand upright below the axis where they are many
crowd = 0
stats DATA using (column("place")) name "N" nooutput
if (exists("N_records") && N_records > 0) { crowd = N_max > 8 }
DEVICES = ""
set table $DEVICE_NAMES
plot DATA using (DEVICES = strlen(strcol("device")) && !strstrt(DEVICES . " ", " " . strcol("device") . " ") ? DEVICES . " " . strcol("device") : DEVICES, column("value")):(0) with table
unset table
several = words(DEVICES) > 1
BOTTOM = crowd ? 1.35 : 0.95
if (several) { BOTTOM = BOTTOM + 0.35 }
GAP_X = 1.45
eval(panels(NP, PAGE || DUMB ? (NP < 2 ? NP : 2) : 1, DUMB ? 8 : PAGE ? 4.6 : 3.9, 0, BOTTOM + 0.2))
eval(legend_start)
do for [j = 1:5] { if (THERE[j]) { eval(legend_point(KIND[j], kindc(j), KPOINT[j])) } }
do for [i = 1:NS] { eval(legend_both(NAMES[i], COLOR[i], DASH[i], POINT[i])) }
unset key
do for [k = 1:NP] {
    p = PANELS[k]
    f = scale(p)
    unset logscale; set autoscale; unset xlabel; set xtics autofreq
    stats DATA using (strcol("panel") eq p ? column("lo") / f : NaN) name "L" nooutput
    stats DATA using (strcol("panel") eq p ? column("hi") / f : NaN) name "G" nooutput
    # devices side by side: a rule before each, its name below
    if (several && !curve(p)) {
        do for [d = 1:words(DEVICES)] {
            stats DATA using (strcol("panel") eq p && strcol("device") eq word(DEVICES, d) ? column("place") : NaN) name "P" nooutput
            if (!exists("P_records") || P_records == 0) { continue }
            if (d > 1) { set arrow d from P_min - 0.5, graph 0 to P_min - 0.5, graph 1 nohead lw 0.5 lc rgb "#909090" }
            set label d tex_name(word(DEVICES, d)) at (P_min + P_max) / 2.0, graph 0 center offset 0,(crowd ? -3.6 : -2) noenhanced font SMALL(6)
        }
    }
    if (curve(p)) {
        stats DATA using (strcol("panel") eq p ? column("size") : NaN) name "S" nooutput
        if (bytes(p)) {
            set logscale x 2; set xrange [S_min / 1.4 : S_max * 1.4]
            set xtics () nomirror; set for [e = 8:44:4] xtics add (size_name(e) 2.0**e)
        } else { eval(log_axis("x", S_min / 1.4, S_max * 1.4)) }
        set xlabel xunit(p) offset 0,XLABEL
    } else {
        stats DATA using (strcol("panel") eq p ? column("place") : NaN) name "N" nooutput
        set xrange [0.4:N_max + 0.6]
        unset xtics
    }
    low = L_min / 1.8
    eval(log_axis("y", low, G_max * 1.8))
    set ylabel unit(p) offset 0.5,0
    named(q) = strcol("panel") eq q && column("first") == 1
    is(q) = strcol("panel") eq p && strcol("type") eq q
    plot for [j = 1:5] DATA using (is(KIND[j]) ? column("place") + (j == 1 || j == 2 ? -0.12 : 0.12) : NaN):(column("value") / f):(column("lo") / f):(column("hi") / f) \
            with yerrorbars pt KPOINT[j] ps 0.6 lw 1.2 lc rgb kindc(j) notitle, \
        DATA using (named(p) && crowd ? column("place") : NaN):(low * 1.0001):(tex_name(strcol("ceiling"))) \
            with labels offset 0,-0.4 right rotate by 90 noenhanced font SMALL(6.4) notitle, \
        DATA using (named(p) && !crowd ? column("place") : NaN):(low * 1.0001):(tex_name(strcol("ceiling"))) \
            with labels offset 0,-0.9 center noenhanced font SMALL(6.4) notitle, \
        for [i = 1:NS] DATA using (is("curve") && strcol("series") eq SERIES[i] ? column("size") : NaN):(column("value") / f):(column("lo") / f):(column("hi") / f) \
            with yerrorbars pt POINT[i] ps 0.45 lw 0.9 lc rgb COLOR[i] notitle, \
        for [i = 1:NS] DATA using (is("curve") && strcol("series") eq SERIES[i] ? column("size") : NaN):(column("value") / f) smooth unique \
            with lines dt DASH[i] lw 1.4 lc rgb COLOR[i] notitle
    eval(legend_end)
    do for [d = 1:20] { unset label d; unset arrow d }
}
