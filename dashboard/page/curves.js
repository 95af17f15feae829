'use strict';

// Dygraphs' own legend sets inline styles, which the content policy forbids.
Dygraph.PLUGINS = Dygraph.PLUGINS.filter((plugin) => plugin !== Dygraph.Plugins.Legend);

// Curves of one or several runs over steps, with one cursor and one zoom. A chart is there from its first value on; its
// legend always shows names, and values at the cursor or, without one, the newest.
class Curves {
  static charts = [
    {id: 'loss', title: 'Loss', metrics: ['loss', 'eval_loss']},
    {id: 'margin', title: 'Margin of preferences', metrics: ['preference_margin']},
    {id: 'preferred', title: 'Preferred as chosen', metrics: ['preference_accuracy', 'eval_preference_accuracy']},
    {id: 'violation', title: 'MaxVio, worst layer', metrics: ['max_violation_batch', 'max_violation_window']},
    {id: 'gradient', title: 'Gradient norm', metrics: ['grad_norm']},
    {id: 'rate', title: 'Learning rate', metrics: ['learning_rate']},
    {id: 'speed', title: 'Throughput, tokens/s', metrics: ['tokens_per_second']},
    {id: 'mfu', title: 'MFU', metrics: ['mfu']},
    {id: 'entropy', title: 'Load entropy, worst layer', metrics: ['load_entropy']},
    {id: 'dropped', title: 'Dropped, worst layer', metrics: ['drop_ratio'], unlessAllZero: true},
    {id: 'zero', title: 'Zero-compute share, highest layer', metrics: ['zero_compute_ratio'], unlessAllZero: true},
    {id: 'bias', title: 'Balance bias, range over layers', metrics: ['bias_min', 'bias_max'], unlessAllZero: true},
  ];
  // Okabe and Ito's colours, in an order that tells neighbours apart on white and on black.
  static colors = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8c6d31', '#7b6fd0'];

  constructor(parent, runs) {
    this.runs = runs;
    this.period = 1;
    this.logLoss = false;
    this.cursor = null;  // a step
    this.panels = new Map(Curves.charts.map((chart) => [chart.id, new CurvePanel(parent, chart, this)]));
    this.redraw();
  }

  // The same runs, loaded anew.
  show(runs) {
    this.runs = runs;
    this.redraw();
  }

  // Every series of a chart: {run, metric, label, color, dashed}. Runs differ by colour; of a single run, metrics do.
  series(metrics) {
    const several = this.runs.length > 1;
    return this.runs.flatMap((run, r) => metrics.map((metric, m) => ({
      run, metric, label: several ? `${metric}, ${run.name}` : metric,
      color: Curves.colors[(several ? r : m) % Curves.colors.length], dashed: several && m > 0,
    })));
  }

  changed() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.redraw();
    });
  }
  redraw() { this.panels.forEach((panel) => panel.redraw()); }

  smooth(period) {
    this.period = period;
    this.changed();
  }
  setLogLoss(on) {
    this.logLoss = on;
    this.changed();
  }
  moveCursor(step) {
    this.cursor = step;
    this.panels.forEach((panel) => panel.showCursor());
  }
  // range: null for all steps, also those to come.
  zoom(range) { this.panels.forEach((panel) => panel.zoom(range)); }
}

class CurvePanel {
  constructor(parent, chart, curves) {
    this.chart = chart;
    this.curves = curves;
    this.rows = [];
    this.section = document.createElement('section');
    this.section.hidden = true;
    this.section.dataset.curve = chart.id;
    const title = document.createElement('h2');
    title.textContent = chart.title;
    this.legend = document.createElement('ul');
    this.legend.className = 'legend';
    this.plot = document.createElement('div');
    this.plot.className = 'chart';
    this.plot.tabIndex = 0;
    this.plot.setAttribute('role', 'img');
    this.plot.setAttribute('aria-label', `${chart.title} by step; left and right move the cursor`);
    this.plot.addEventListener('keydown', (event) => this.key(event));
    new ResizeObserver(() => this.resize()).observe(this.plot);
    this.section.append(title, this.legend, this.plot);
    parent.append(this.section);
  }

  redraw() {
    this.series = this.curves.series(this.chart.metrics);
    const points = this.series.map(({run, metric}) => run.points(metric, this.curves.period));
    if (!this.isWorthShowing(points)) return;
    const steps = [...new Set(points.flatMap((column) => column.map(([step]) => step)))].sort((a, b) => a - b);
    const columns = points.map((column) => new Map(column));
    this.rows = steps.map((step) => [step, ...columns.map((column) => column.get(step) ?? null)]);
    this.section.hidden = false;
    if (this.graph) this.graph.updateOptions({file: this.rows, logscale: this.isLogarithmic()});
    else this.draw();
    this.showCursor();  // drawing forgets it
  }

  isWorthShowing(points) {
    return points.some((column) => (this.chart.unlessAllZero ? column.some(([, value]) => value !== 0) : column.length > 0)) ||
      Boolean(this.graph);
  }
  isLogarithmic() { return this.chart.id === 'loss' && this.curves.logLoss; }

  draw() {
    const looks = ({metric, color, dashed}) => ({color, strokePattern: dashed ? [5, 3] : null,
      ...(metric.startsWith('eval_') ? {drawPoints: true, pointSize: 3, strokeWidth: 1} : {})});
    this.graph = new Dygraph(this.plot, this.rows, {
      labels: ['step', ...this.series.map(({label}) => label)],
      series: Object.fromEntries(this.series.map((one) => [one.label, looks(one)])),
      strokeWidth: 1.6, connectSeparatedPoints: true, logscale: this.isLogarithmic(),
      axes: {x: {axisLabelWidth: 50}, y: {axisLabelWidth: 56}},
      highlightCallback: (event, step) => this.curves.moveCursor(step),
      unhighlightCallback: () => this.curves.moveCursor(null),
      zoomCallback: (low, high) => this.curves.zoom(this.graph.isZoomed('x') ? [low, high] : null),
    });
    this.makeLegend();
  }

  makeLegend() {
    this.at = document.createElement('li');
    this.values = this.series.map(() => document.createElement('output'));
    this.legend.replaceChildren(this.at, ...this.series.map(({label, color}, index) => {
      const swatch = document.createElement('span');
      swatch.className = 'swatch';
      swatch.style.background = color;
      const item = document.createElement('li');
      item.append(swatch, label, this.values[index]);
      return item;
    }));
  }

  // Of a window that changes, and when other charts appear beside it.
  resize() {
    if (this.graph) this.graph.resize();
    this.showCursor();
  }

  zoom(range) {
    if (this.graph) this.graph.updateOptions({dateWindow: range});
    this.showCursor();
  }

  showCursor() {
    if (!this.graph) return;
    const {cursor} = this.curves;
    const row = cursor === null ? this.rows.length - 1 : this.rowAt(cursor);
    if (cursor === null) this.graph.clearSelection();
    else this.graph.setSelection(row);
    this.at.textContent = cursor === null ? 'newest' : `step ${this.rows[row][0]}`;
    this.values.forEach((output, index) => { output.textContent = CurvePanel.text(this.valueUpTo(row, index + 1)); });
  }

  // The row nearest to a step.
  rowAt(step) {
    let low = 0;
    let high = this.rows.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.rows[middle][0] < step) low = middle + 1;
      else high = middle;
    }
    const before = low > 0 && step - this.rows[low - 1][0] < this.rows[low][0] - step;
    return before ? low - 1 : low;
  }

  // Evaluations are rarer than steps: the last one counts.
  valueUpTo(row, column) {
    while (row >= 0 && this.rows[row][column] === null) --row;
    return row < 0 ? null : this.rows[row][column];
  }

  static text(value) { return value === null ? '–' : String(Number(value.toPrecision(5))); }

  key(event) {
    const move = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (event.key === 'Escape') this.curves.moveCursor(null);
    if (!move || !this.rows.length) return;
    event.preventDefault();
    const {cursor} = this.curves;
    const from = cursor === null ? this.rows.length - 1 : this.rowAt(cursor) + move;
    this.curves.moveCursor(this.rows[Math.max(0, Math.min(this.rows.length - 1, from))][0]);
  }
}
