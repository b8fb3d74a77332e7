package bench

import (
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// A Result is what a benchmark found. Ratios compare two things of one run, so
// they mean the same on another machine; figures do not.
type Result struct {
	Name    string             `json:"name"`
	Ratios  map[string]float64 `json:"ratios"`
	Figures map[string]float64 `json:"figures"` // the unit is the end of the name
	Machine Machine            `json:"machine"`
}

// Machine is what kind of machine it was, and how busy others kept it.
type Machine struct {
	OS          string  `json:"os"`
	Arch        string  `json:"arch"`
	CPU         string  `json:"cpu"` // model, "" if it is not known
	CPUs        int     `json:"cpus"`
	Go          string  `json:"go"`
	LoadAverage float64 `json:"load_average"` // of a minute, before the run; -1 if it is not known
}

func newResult(name string) Result {
	return Result{
		Name: name, Ratios: make(map[string]float64), Figures: make(map[string]float64), Machine: thisMachine(),
	}
}

func thisMachine() Machine {
	m := Machine{
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version(), LoadAverage: -1,
	}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		first, _, _ := strings.Cut(string(load), " ")
		if value, err := strconv.ParseFloat(first, 64); err == nil {
			m.LoadAverage = value
		}
	}
	return m
}

// set keeps a figure, rounded to what it is worth.
func (r Result) set(name string, value float64) { r.Figures[name] = round(value) }

// ratio keeps a over b, if there is a b.
func (r Result) ratio(name string, a, b float64) {
	if b > 0 {
		r.Ratios[name] = round(a / b)
	}
}

// round keeps whole numbers, and four digits of others: no measure here is
// better than that. What is no number is 0, since JSON has no word for it.
func round(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	if v == math.Trunc(v) || math.Abs(v) >= 1000 {
		return math.Round(v)
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// Print writes the result for a person.
func (r Result) Print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %d CPUs (%s, %s/%s, %s, load average %.1f)\n",
		r.Name, r.Machine.CPUs, r.Machine.CPU, r.Machine.OS, r.Machine.Arch, r.Machine.Go, r.Machine.LoadAverage)
	for _, part := range []struct {
		title  string
		values map[string]float64
	}{{"ratios", r.Ratios}, {"figures", r.Figures}} {
		fmt.Fprintf(&b, "%s:\n", part.title)
		for _, name := range slices.Sorted(maps.Keys(part.values)) {
			fmt.Fprintf(&b, "  %-32s %s\n", name, strconv.FormatFloat(part.values[name], 'f', -1, 64))
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
