'use strict';

const byId = (id) => document.getElementById(id);
const fixed = (value, digits) => (value === null || value === undefined ? '–' : Number(value).toFixed(digits));

// ---- curves ---------------------------------------------------------------------------------------

const curves = {
  'chart-loss': ['loss', 'eval_loss'],
  'chart-violation': ['max_violation_batch', 'max_violation_window'],
  'chart-gradient': ['grad_norm'],
  'chart-rate': ['learning_rate'],
  'chart-speed': ['tokens_per_second'],
  'chart-entropy': ['load_entropy'],
  'chart-dropped': ['drop_ratio'],
  'chart-zero': ['zero_compute_ratio'],
  'chart-bias': ['bias_min', 'bias_max'],
};
const history = {steps: [], metrics: {}};
const evaluations = new Map();  // step → loss
const charts = {};

function valueAt(name, index) {
  if (name === 'eval_loss') {
    const value = evaluations.get(history.steps[index]);
    return value === undefined ? null : value;
  }
  const column = history.metrics[name];
  const value = column ? column[index] : null;
  return value === undefined ? null : value;
}

function rows(names) {
  return history.steps.map((step, index) => [step, ...names.map((name) => valueAt(name, index))]);
}

function makeCharts() {
  for (const [id, names] of Object.entries(curves)) {
    charts[id] = new Dygraph(byId(id), rows(names), {
      labels: ['step', ...names], colors: ['#1f77b4', '#d9730d'], strokeWidth: 1.6, connectSeparatedPoints: true,
      axes: {x: {axisLabelWidth: 50}, y: {axisLabelWidth: 56}}, legend: 'follow', drawPoints: false,
      series: {eval_loss: {drawPoints: true, pointSize: 3, strokeWidth: 1}},
      highlightCallback: (event, x, points, row) => shareCursor(id, row),
      unhighlightCallback: () => shareCursor(id, null),
      zoomCallback: (low, high) => shareZoom(id, low, high),
    });
  }
}

// One cursor and one zoom for all charts.
function others(id) {
  return Object.entries(charts).filter(([other]) => other !== id).map(([, chart]) => chart);
}
function shareCursor(id, row) {
  for (const chart of others(id)) {
    if (row === null) chart.clearSelection();
    else chart.setSelection(row);
  }
}
function shareZoom(id, low, high) {
  for (const chart of others(id)) chart.updateOptions({dateWindow: [low, high]});
}

let redrawPending = false;
function redrawCharts() {
  if (redrawPending) return;
  redrawPending = true;
  requestAnimationFrame(() => {
    redrawPending = false;
    for (const [id, names] of Object.entries(curves)) {
      if (history.steps.length) charts[id].updateOptions({file: rows(names)});
    }
  });
}

function addPoint(step) {
  if (history.steps.length && step.step <= history.steps[history.steps.length - 1]) return;
  history.steps.push(step.step);
  for (const name of Object.keys(step.metrics)) {
    const column = history.metrics[name] || (history.metrics[name] = []);
    while (column.length < history.steps.length - 1) column.push(null);
    column.push(step.metrics[name]);
  }
  redrawCharts();
}

byId('smoothing').addEventListener('input', (event) => {
  const period = Number(event.target.value);
  for (const id of Object.keys(charts)) charts[id].updateOptions({rollPeriod: period});
});
byId('log-scale').addEventListener('change', (event) => {
  charts['chart-loss'].updateOptions({logscale: event.target.checked});
});

// ---- header ---------------------------------------------------------------------------------------

let totalSteps = 0;
const stepSeconds = [];

function duration(seconds) {
  if (!Number.isFinite(seconds)) return '–';
  const whole = Math.round(seconds);
  const pad = (n) => String(n).padStart(2, '0');
  return `${Math.floor(whole / 3600)}:${pad(Math.floor(whole / 60) % 60)}:${pad(whole % 60)}`;
}

function showStep(step) {
  const metrics = step.metrics;
  byId('head-step').textContent = `${step.step} / ${totalSteps}`;
  byId('head-loss').textContent = fixed(metrics.loss, 4);
  byId('head-speed').textContent = fixed(metrics.tokens_per_second, 0);
  byId('head-violation').textContent = fixed(metrics.max_violation_window, 2);
  if (metrics.step_seconds) stepSeconds.push(metrics.step_seconds);
  if (stepSeconds.length > 20) stepSeconds.shift();
  const mean = stepSeconds.reduce((a, b) => a + b, 0) / Math.max(1, stepSeconds.length);
  byId('head-left').textContent = duration(mean * (totalSteps - step.step));
  byId('progress').value = totalSteps ? step.step / totalSteps : 0;
  const alerts = [];
  if (metrics.skipped_steps_total > 0) alerts.push(`${metrics.skipped_steps_total} steps were skipped: values not finite.`);
  if (metrics.dead_experts > 0) alerts.push(`A layer has ${metrics.dead_experts} experts without a token in 100 steps.`);
  byId('alert').hidden = alerts.length === 0;
  byId('alert').textContent = alerts.join(' ');
}

function showState(state) {
  byId('run-state').textContent = state;
}

// ---- expert utilization ---------------------------------------------------------------------------

const heatMap = new HeatMap(byId('heat-map'), byId('heat-note'));
let frames = [];
let frameLayers = [];
let following = true;
let shares = null;

function showFrame() {
  const slider = byId('frame');
  slider.max = Math.max(0, frames.length - 1);
  if (following) slider.value = slider.max;
  const frame = frames[Number(slider.value)];
  if (!frame) return;
  byId('frame-step').textContent = following ? `${frame.step} (latest)` : frame.step;
  heatMap.show(frameLayers, frame.load);
}
byId('frame').addEventListener('input', (event) => {
  following = Number(event.target.value) === frames.length - 1;
  showFrame();
});

function addFrame(step) {
  if (!step.layers.length) return;
  frameLayers = step.layers.map((layer) => layer.layer);
  frames.push({step: step.step, load: step.layers.map((layer) => layer.load)});
  if (frames.length > 1024) frames = frames.filter((_, index) => index % 2 === 0);
  showFrame();
}

function addShares(step) {
  if (step.layers.some((layer) => layer.shares)) shares.refresh().catch(() => {});  // the next one brings newer ones
}

// ---- tables ---------------------------------------------------------------------------------------

function row(cells) {
  const element = document.createElement('tr');
  for (const cell of cells) {
    const column = document.createElement('td');
    if (cell instanceof Node) column.append(cell);
    else column.textContent = cell;
    element.append(column);
  }
  return element;
}

const phaseColors = {
  load: '#8c8c8c', forward: '#1f77b4', router: '#c2566b', dispatch: '#d9730d', expert: '#2a9d6f', combine: '#e3b23c', backward: '#5b4b9a',
  reduce: '#b5476a', update: '#5aa9c7',
};
let workers = [];
let phases = {};

function phaseBar(seconds) {
  const bar = document.createElement('div');
  bar.className = 'phases';
  const entries = Object.entries(seconds || {});
  const total = entries.reduce((sum, [, value]) => sum + value, 0);
  for (const [phase, value] of entries) {
    const part = document.createElement('span');
    part.style.flexGrow = String(value / Math.max(total, 1e-9));
    part.style.background = phaseColors[phase] || '#aaa';
    part.title = `${phase}: ${value.toFixed(4)} s`;
    bar.append(part);
  }
  return bar;
}

function showWorkers() {
  const body = byId('workers').tBodies[0];
  body.replaceChildren(...workers.map((worker) => {
    const line = row([worker.rank, worker.host, worker.process_id, `${fixed(worker.heartbeat_age_seconds, 1)} s`,
      phaseBar(phases[worker.rank])]);
    if (worker.suspected) line.className = 'suspected';
    return line;
  }));
}

function showEvaluation(evaluation) {
  evaluations.set(evaluation.step, evaluation.total.eval_loss);
  const lines = [['all', evaluation.total], ...Object.entries(evaluation.domains)];
  byId('domains').tBodies[0].replaceChildren(...lines.map(([name, result]) =>
    row([name, fixed(result.eval_loss, 3), fixed(result.eval_bits_per_byte, 3)])));
  redrawCharts();
}

function addSample(sample) {
  const paragraph = document.createElement('p');
  const when = document.createElement('span');
  when.className = 'when';
  when.textContent = `step ${sample.step}  `;
  const prompt = document.createElement('b');
  prompt.textContent = sample.prompt;
  paragraph.append(when, prompt, sample.text);
  byId('samples').prepend(paragraph);
  while (byId('samples').children.length > 20) byId('samples').lastChild.remove();
}

function addCheckpoint(checkpoint) {
  byId('checkpoints').tBodies[0].prepend(row([checkpoint.step, `${(checkpoint.bytes / 1048576).toFixed(1)} MiB`,
    fixed(checkpoint.seconds, 2), checkpoint.error || 'committed']));
}

function addNote(note) {
  const item = document.createElement('li');
  item.className = note.severity;
  item.textContent = note.text;
  byId('notes').prepend(item);
  while (byId('notes').children.length > 200) byId('notes').lastChild.remove();
}

// ---- connection -----------------------------------------------------------------------------------

async function load(path) {
  const response = await fetch(path, {cache: 'no-store'});
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

function listen() {
  const source = new EventSource('api/events');
  const on = (name, handler) => source.addEventListener(name, (event) => handler(JSON.parse(event.data)));
  on('step', (step) => { addPoint(step); showStep(step); addFrame(step); addShares(step); });
  on('state', (event) => showState(event.state));
  on('workers', (event) => { workers = event.workers; phases = event.phases; showWorkers(); });
  on('evaluation', showEvaluation);
  on('sample', addSample);
  on('checkpoint', addCheckpoint);
  on('note', addNote);
  source.onerror = () => showState('not connected');
  source.onopen = () => load('api/state').then((state) => showState(state.state)).catch(() => {});
}

async function start() {
  const [state, curvesSoFar, loads] = await Promise.all(['api/state', 'api/history', 'api/loads'].map(load));
  totalSteps = state.run.steps;
  byId('run-name').textContent = state.run.name;
  document.title = `${state.run.name} – Troupe`;
  history.steps = curvesSoFar.steps;
  history.metrics = curvesSoFar.metrics;
  state.evaluations.forEach(showEvaluation);
  makeCharts();
  shares = new Shares(state.run.domains);
  await shares.refresh();
  frames = loads.frames;
  frameLayers = loads.layers;
  showFrame();
  workers = state.workers;
  phases = state.phases;
  showWorkers();
  showState(state.state);
  if (state.step.step) showStep(state.step);
  state.samples.forEach(addSample);
  state.checkpoints.forEach(addCheckpoint);
  state.notes.forEach(addNote);
  listen();
}

start().catch((error) => showState(`cannot load: ${error.message}`));
