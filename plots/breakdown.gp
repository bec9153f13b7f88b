# Share of time by operator class against context or across devices, prefill and decode
# needs: panel series phase ctx gemm attention scan conv norm elementwise embedding head moe comm launch
# draws: ctx
array USED[11]
do for [i = 1:11] {
    stats DATA using (column(CLS[i])) name "U" nooutput
    USED[i] = exists("U_records") && U_records > 0 && U_max > 0.004
    if (USED[i]) { dummy = legend_count(CLS[i]) }
}
upto(k) = k < 1 ? 0 : 100 * (sum [j = 1:k] (valid(j + 5) ? column(CLS[j]) : 0))
bars = CTX_MIN == CTX_MAX   # one context: a bar for each series
# the phases there are
PHASES = ""
set table $PHASES_OF
plot DATA using (PHASES = strstrt(PHASES, strcol("phase")) ? PHASES : PHASES . " " . strcol("phase"), column("ctx")):(0) with table
unset table
place(s) = sum [i = 1:NS] (s eq SERIES[i] ? NS + 1 - i : 0)
longest = 4
do for [i = 1:NS] { longest = strlen(SERIES[i]) > longest ? strlen(SERIES[i]) : longest }
TOP = bars ? 0.4 : 0.42
if (bars) {
    GAP_X = 0.5
    LEFT = 0.35
    NAMES_CM = longest * LETTER * 0.95 + 0.15
    if (DUMB) { NAMES_CM = longest * 0.18 }
    eval(panels(words(PHASES), PAGE || DUMB ? words(PHASES) : 1, 0.42 * NS + 0.35, 0, 0.95))
    left(k) = (LEFT + NAMES_CM + (k - 1) * ((WIDTH_CM - LEFT - NAMES_CM - RIGHT + GAP_X) / COLS)) / WIDTH_CM
} else {
    GAP_X = PAGE ? 0.4 : 0.5
    eval(panels(NP, PAGE || DUMB ? (NP < (DUMB ? 2 : 4) ? NP : DUMB ? 2 : 4) : (NP < 2 ? NP : 2), DUMB ? 8 : PAGE ? 3.3 : 2.7, 0, 0.95))
}
eval(legend_start)
do for [i = 1:11] { if (USED[i]) { eval(legend_box(CLS[i], clsc(i))) } }
unset key
if (bars) {
    do for [k = 1:words(PHASES)] {
        p = word(PHASES, k)
        of(q) = strcol("phase") eq q
        c = (k - 1) % COLS + 1
        set lmargin at screen left(c); set rmargin at screen left(c + 1) - GAP_X / WIDTH_CM
        set xrange [0:100]; set xtics 0, 25, 100; set yrange [0.4:NS + 0.6]
        set xlabel sprintf("share of time (%s)", PCT) offset 0,XLABEL
        set title p . ", " . human(CTX_MIN) . " tokens" noenhanced offset 0,-0.8
        set ytics () nomirror scale 0 noenhanced
        set for [i = 1:NS] ytics add ((c == 1 ? NAMES[i] : "") NS + 1 - i)
        if (k <= words(PHASES) - COLS) { unset xlabel }
        if (DUMB) { set key below }
        plot for [j = 1:11] DATA using (of(p) ? upto(j) : NaN):(place(strcol("series"))):(upto(j - 1)):(upto(j)):(place(strcol("series")) - 0.36):(place(strcol("series")) + 0.36) \
            with boxxyerror fc rgb clsc(j) fs solid 1.0 border lc rgb MARK lw 0.3 title (DUMB && USED[j] ? CLS[j] : "")
        eval(legend_end)
    }
} else {
    do for [k = 1:NP] {
        p = PANELS[k]
        sel(q) = strcol("panel") eq q
        set yrange [0:100]
        eval(ctx_axis_few)
        if (k <= NP - COLS) { unset xlabel }
        set ytics 0, 25, 100
        if (first_column(k)) { set ylabel sprintf("share of time (%s)", PCT) offset 0.5,0; set ytics format "%g" } else { unset ylabel; set ytics format "" }
        c = strstrt(PANEL_NAMES[k], ":")
        set title PANEL_NAMES[k][1:c-1] . ", " . PANEL_NAMES[k][c+1:*] noenhanced offset 0,-0.8 font SMALL(6.2)
        if (DUMB) { set key top left }
        plot for [j = 11:1:-1] DATA using (!DUMB && sel(p) && USED[j] ? column("ctx") : NaN):(0):(upto(j)) \
                with filledcurves fc rgb clsc(j) fs solid 1.0 noborder notitle, \
            for [j = 1:10] DATA using (!DUMB && sel(p) && USED[j] ? column("ctx") : NaN):(upto(j)) \
                with lines lw 0.4 lc rgb (GREY ? "#000000" : "#FFFFFF") notitle, \
            for [j = 1:11] DATA using (DUMB && sel(p) && USED[j] ? column("ctx") : NaN):(100 * column(CLS[j])) \
                with lines title (DUMB && USED[j] ? CLS[j] : "") # letters: lines, not areas
        eval(legend_end)
    }
}
