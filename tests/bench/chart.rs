//! Curves of time over size, drawn as SVG on logarithmic axes. Readable on light and on dark pages.

use std::fmt::Write;

/// What is drawn.
pub struct Chart<'a> {
    /// What it shows.
    pub title: &'a str,
    /// What the lower axis counts.
    pub across: &'a str,
    /// The curves: name, and points of a count and seconds.
    pub curves: Vec<(&'a str, Vec<(f64, f64)>)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 56.0;

/// Colours on light and on dark, told apart by people who see red and green alike; each curve has a dash
/// pattern of its own as well.
const STYLE: &str = "<style>
 text { font: 13px sans-serif; fill: #24292f; } .title { font-size: 15px; font-weight: bold; }
 .page { fill: #ffffff; } .grid { stroke: #d0d7de; } .axis { stroke: #57606a; }
 .curve { fill: none; stroke-width: 2.5; }
 .c0 { stroke: #0b5fb0; } .c1 { stroke: #b35900; stroke-dasharray: 8 4; } .c2 { stroke: #6e4a9e; stroke-dasharray: 2 4; }
 .d0 { fill: #0b5fb0; } .d1 { fill: #b35900; } .d2 { fill: #6e4a9e; }
 @media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .page { fill: #0d1117; } .grid { stroke: #30363d; } .axis { stroke: #8b949e; }
  .c0 { stroke: #58a6ff; } .c1 { stroke: #f0a04b; } .c2 { stroke: #c297ff; }
  .d0 { fill: #58a6ff; } .d1 { fill: #f0a04b; } .d2 { fill: #c297ff; }
 }
</style>";

/// A logarithmic axis from one power of ten to another.
#[derive(Clone, Copy)]
struct Axis {
    low: i32,
    high: i32,
    /// Where the low and the high end are drawn.
    ends: (f64, f64),
}

impl Axis {
    fn new(figures: impl Iterator<Item = f64> + Clone, ends: (f64, f64)) -> Axis {
        let least = figures.clone().fold(f64::INFINITY, f64::min).max(1e-6);
        let most = figures.fold(0.0, f64::max).max(least);
        let low = least.log10().floor() as i32;
        Axis { low, high: (most.log10().ceil() as i32).max(low + 1), ends }
    }

    fn place(self, figure: f64) -> f64 {
        let part = (figure.max(1e-9).log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        self.ends.0 + part * (self.ends.1 - self.ends.0)
    }

    fn powers(self) -> impl Iterator<Item = f64> {
        (self.low..=self.high).map(|power| 10_f64.powi(power))
    }
}

/// Writes a count with its thousands apart.
fn count(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn time(seconds: f64) -> String {
    if seconds >= 0.99 { format!("{seconds:.0} s") } else { format!("{:.0} ms", seconds * 1000.0) }
}

impl Chart<'_> {
    /// Draws it.
    pub fn svg(&self) -> String {
        let points = || self.curves.iter().flat_map(|(_, points)| points.iter());
        let across = Axis::new(points().map(|point| point.0), (LEFT, WIDTH - RIGHT));
        let up = Axis::new(points().map(|point| point.1), (HEIGHT - BOTTOM, TOP));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n<title>{}</title>\n{STYLE}\n\
             <rect class=\"page\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n<text class=\"title\" x=\"{LEFT}\" y=\"24\">{}</text>\n",
            self.title, self.title
        );
        self.draw_axes(&mut svg, across, up);
        for (number, (name, points)) in self.curves.iter().enumerate() {
            draw_curve(&mut svg, number, name, points, (across, up));
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn draw_axes(&self, svg: &mut String, across: Axis, up: Axis) {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for power in across.powers() {
            let x = across.place(power);
            let label = count(power);
            put(
                svg,
                format_args!(
                    "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>"
                ),
            );
            put(
                svg,
                format_args!(
                    "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
                    bottom + 18.0
                ),
            );
        }
        for power in up.powers() {
            let y = up.place(power);
            let (x, below, label) = (LEFT - 8.0, y + 4.0, time(power));
            put(
                svg,
                format_args!(
                    "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>"
                ),
            );
            put(svg, format_args!("<text x=\"{x}\" y=\"{below:.1}\" text-anchor=\"end\">{label}</text>"));
        }
        put(
            svg,
            format_args!(
                "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{right}\" y2=\"{bottom}\"/>"
            ),
        );
        put(
            svg,
            format_args!("<line class=\"axis\" x1=\"{LEFT}\" y1=\"{TOP}\" x2=\"{LEFT}\" y2=\"{bottom}\"/>"),
        );
        let (middle, low) = ((LEFT + right) / 2.0, HEIGHT - 14.0);
        put(
            svg,
            format_args!("<text x=\"{middle}\" y=\"{low}\" text-anchor=\"middle\">{}</text>", self.across),
        );
    }
}

fn draw_curve(svg: &mut String, number: usize, name: &str, points: &[(f64, f64)], axes: (Axis, Axis)) {
    let place = |point: &(f64, f64)| (axes.0.place(point.0), axes.1.place(point.1));
    let line: Vec<String> = points.iter().map(place).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    put(svg, format_args!("<polyline class=\"curve c{number}\" points=\"{}\"/>", line.join(" ")));
    for ((x, y), seconds) in points.iter().map(|point| (place(point), point.1)) {
        let exact = seconds * 1000.0;
        put(
            svg,
            format_args!(
                "<circle class=\"d{number}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"><title>{name}: {exact:.1} ms</title></circle>"
            ),
        );
    }
    let (x, y) = (WIDTH - RIGHT + 14.0, TOP + 16.0 + 24.0 * number as f64);
    put(
        svg,
        format_args!(
            "<line class=\"curve c{number}\" x1=\"{x}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\"/>",
            x + 30.0
        ),
    );
    put(svg, format_args!("<text x=\"{}\" y=\"{}\">{name}</text>", x + 38.0, y + 4.0));
}

fn put(svg: &mut String, line: std::fmt::Arguments<'_>) {
    let _infallible = writeln!(svg, "{line}");
}
