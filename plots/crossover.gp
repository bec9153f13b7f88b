# Context x batch map of the ratio of two models, with contour lines
# needs: metric a b ctx batch ratio fits
# draws: ratio
stats DATA using (column("ratio")) name "R" nooutput
stats DATA using (column("fits") == 0 ? 1 : NaN) name "F" nooutput
# names of the two sides: from the first row
A = ""; B = ""; METRIC = ""
set table $NAMES_TABLE
plot DATA using (A = strcol("a"), B = strcol("b"), METRIC = strcol("metric"), column("ctx")):(0) with table
unset table
figure(m) = m eq "ttft" ? "time to first token" : m eq "tpot" ? "time per output token" : m eq "e2e" ? "end-to-end time" : m eq "memory" ? "peak memory" : "energy of the prefill"
RATIO = sprintf("%s: %s / %s", figure(METRIC), tex_name(A), tex_name(B)) . (R_min == R_max ? sprintf(" = %.3g", R_min) : "")
NOFIT = "does not fit"
unfit = exists("F_records") && F_records > 0
dummy = legend_count(RATIO)
if (unfit) { dummy = legend_count(NOFIT) }
RIGHT = 1.15
eval(panels(1, 1, DUMB ? 8 : PAGE ? 7.0 : 5.2, 0, 0))
eval(legend_start)
eval(legend_text_only(RATIO))
if (unfit) { eval(legend_point(NOFIT, "#505050", 2)) }
big = R_max > 1 / R_min ? R_max : 1 / R_min
big = big < 2 ? 2 : big > 64 ? 64 : big
span = log(big) / log(2)
set logscale x 2
set logscale y 2
set xrange [0.999 * CTX_MIN:1.001 * CTX_MAX]
set yrange [0.999 * BATCH_MIN:1.001 * BATCH_MAX]
eval(sprintf(CTX_TICKS, "xtics"))
eval(sprintf(BATCH_TICKS, "ytics"))
set xlabel "context (tokens)" offset 0,(PAGE ? XLABEL : XLABEL > 0.5 ? 1.1 : 0.7)
set ylabel "batch (sequences)" offset (PAGE ? -0.6 : -1.1),0
set logscale cb 2
set logscale z 2
set cbrange [2.0**-span:2.0**span]
# one ratio everywhere is no range to gnuplot
if (R_min == R_max) { set zrange [0.5 * (R_min < 1 ? R_min : 1):2 * (R_max > 1 ? R_max : 1)] }
set colorbox user origin screen 1 - 0.95 / WIDTH_CM, BOTTOM / H size screen 0.22 / WIDTH_CM, (H - BOTTOM - panels_top(TITLE_CM)) / H border
step = span > 5 ? 2 : 1
set cbtics () nomirror scale 0.3 offset -0.8,0
set for [i = -12:12] cbtics add ((abs(i * step) <= span + 0.01 ? (i < 0 ? sprintf("1/%d", 2**(-i * step)) : sprintf("%d", 2**(i * step))) : "") 2.0**(i * step))
if (GREY) { set palette defined (-1 "#FFFFFF", 0 "#C8C8C8", 1 "#606060") } else { set palette defined (-1 "#4B9CCB", 0 "#FFFFFF", 1 "#E58A4E") }
set border 15 lw 0.6
unset grid
unset key
set style fill solid 1
set pm3d map interpolate 2,2
set contour base
set cntrparam levels discrete 0.0625, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16
set cntrlabel onecolor format "%g" font SMALL(6) start 7 interval 1000
clip(v) = v > 2.0**span ? 2.0**span : v < 2.0**-span ? 2.0**-span : v
splot DATA using (column("ctx")):(column("batch")):(clip(column("ratio"))) with pm3d nocontour, \
    DATA using (column("fits") == 0 ? column("ctx") : NaN):(column("batch")):(1) with points pt 2 ps 0.22 lw 0.3 lc rgb "#707070" nocontour, \
    DATA using (column("ctx")):(column("batch")):(column("ratio")) with lines lw 0.7 lc rgb MARK nosurface, \
    DATA using (column("ctx")):(column("batch")):(column("ratio")) with labels @BOXED nosurface
eval(legend_end)
