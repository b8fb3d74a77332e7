package bench

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Sizes of the plot, in pixels. Four panels stand in two rows, a legend above.
const (
	plotWidth, plotHeight = 900, 700
	plotTop               = 70 // of the first row
	panelWidth            = 350
	panelHeight           = 230
	panelLeft             = 70 // of the axes of the first column
	columnStep, rowStep   = 450, 315
	plotSteps             = 5 // lines of a grid at most
)

// Colours that people who confuse red and green tell apart (Okabe and Ito, 2008).
var plotColours = []string{"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"}

// panel is one of the four plots.
type panel struct {
	title, unit string
	lines       []line
	goal        float64 // a level to be compared with; 0 for none
}

// line is one curve of a panel, by replicas.
type line struct {
	colour string
	style  string // dashes, dots, or ""
	x, y   []float64
}

// PlotPoints draws the medians as SVG: bids a second, efficiency, times to the
// receipt, and CPU for a bid, against the replicas.
func PlotPoints(out io.Writer, points []Point) error {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n",
		plotWidth, plotHeight)
	fmt.Fprintf(&b, `<title>Bids against replicas, each held to %.0f %% of a core</title>`+"\n", 100*replicaShare)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", plotWidth, plotHeight)
	all := curves(points)
	drawLegend(&b, all)
	for i, p := range panels(all) {
		p.draw(&b, panelLeft+columnStep*(i%2), plotTop+rowStep*(i/2))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(out, b.String())
	return err
}

func drawLegend(b *strings.Builder, all []curve) {
	x := panelLeft
	entry := func(colour, dash, text string) {
		fmt.Fprintf(b, `<line x1="%d" y1="22" x2="%d" y2="22" stroke="%s" stroke-width="2.5"%s/>`+"\n", x, x+30, colour, dash)
		fmt.Fprintf(b, `<text x="%d" y="26">%s</text>`+"\n", x+36, text)
		x += 50 + 8*len(text)
	}
	for i, c := range all {
		entry(plotColours[i%len(plotColours)], "", auctionsOf(c.auctions))
	}
	entry("#555", dashes, "dashed: p99; Redis")
	entry("#999", dots, "dotted: linear; goal")
}

const (
	dashes = ` stroke-dasharray="7 4"`
	dots   = ` stroke-dasharray="2 3"`
)

func panels(all []curve) []panel {
	throughput := panel{title: "Throughput", unit: "bids a second"}
	efficiency := panel{title: "Efficiency", unit: "of linear growth", goal: 0.9}
	latency := panel{title: "Time to the receipt, saturated", unit: "ms: p50, p99 dashed"}
	cpu := panel{title: "CPU for a bid", unit: "microseconds: DMS, Redis dashed"}
	add := func(p *panel, i int, c curve, style string, of func(Point) float64) {
		l := line{colour: plotColours[i%len(plotColours)], style: style}
		for _, point := range c.points {
			l.x, l.y = append(l.x, float64(point.Replicas)), append(l.y, of(point))
		}
		p.lines = append(p.lines, l)
	}
	for i, c := range all {
		add(&throughput, i, c, "", func(p Point) float64 { return p.BidsPerSecond })
		add(&efficiency, i, c, "", c.efficiency)
		add(&latency, i, c, "", func(p Point) float64 { return p.P50 })
		add(&latency, i, c, dashes, func(p Point) float64 { return p.P99 })
		add(&cpu, i, c, "", func(p Point) float64 { return p.DMSPerBid })
		add(&cpu, i, c, dashes, func(p Point) float64 { return p.RedisPerBid })
	}
	if len(all) > 0 {
		throughput.lines = append(throughput.lines, linear(all[0]))
	}
	return []panel{throughput, efficiency, latency, cpu}
}

// linear is what the first curve would be if replicas did not cost each other
// anything.
func linear(c curve) line {
	first, last := c.points[0], c.points[len(c.points)-1]
	each := first.BidsPerSecond / float64(first.Replicas)
	x := []float64{float64(first.Replicas), float64(last.Replicas)}
	return line{colour: "#999", style: dots, x: x, y: []float64{each * x[0], each * x[1]}}
}

// draw draws the panel with the upper left corner of its axes at x, y.
func (p panel) draw(b *strings.Builder, x, y int) {
	top, right := p.goal, 1.0
	for _, l := range p.lines {
		for i := range l.x {
			top, right = max(top, l.y[i]), max(right, l.x[i])
		}
	}
	step := niceStep(top / plotSteps)
	top = max(math.Ceil(top/step), 1) * step
	px := func(v float64) float64 { return float64(x) + v/(1.1*right)*panelWidth }
	py := func(v float64) float64 { return float64(y+panelHeight) - v/top*panelHeight }

	fmt.Fprintf(b, `<g><text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", x, y-22, p.title)
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="#555">%s</text>`+"\n", x, y-7, p.unit)
	for v := 0.0; v <= top+step/2; v += step {
		fmt.Fprintf(b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ddd"/>`+"\n", x, py(v), x+panelWidth, py(v))
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", x-8, py(v)+4, strconv.FormatFloat(round(v), 'f', -1, 64))
	}
	ticks := make(map[float64]bool)
	for _, l := range p.lines {
		for _, v := range l.x {
			if !ticks[v] {
				ticks[v] = true
				fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%.0f</text>`+"\n", px(v), y+panelHeight+18, v)
			}
		}
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle" fill="#555">replicas</text>`+"\n", x+panelWidth/2, y+panelHeight+36)
	if p.goal > 0 {
		fmt.Fprintf(b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#999" stroke-width="2"%s/>`+"\n", x, py(p.goal), x+panelWidth, py(p.goal), dots)
	}
	for _, l := range p.lines {
		l.draw(b, px, py)
	}
	b.WriteString("</g>\n")
}

func (l line) draw(b *strings.Builder, px, py func(float64) float64) {
	fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2"%s points="`, l.colour, l.style)
	for i := range l.x {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(b, "%.1f,%.1f", px(l.x[i]), py(l.y[i]))
	}
	b.WriteString(`"/>` + "\n")
	if l.style == dots {
		return
	}
	for i := range l.x {
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", px(l.x[i]), py(l.y[i]), l.colour)
	}
}

// niceStep is the next number from v up of the form 1, 2 or 5 times a power of
// ten.
func niceStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}
