'use strict';

// Header, choice of the run, expert utilization, and the connection: one stream of events for all runs.

let runs = [];      // RunData, by number
let shown = 0;      // number of the run whose panels are shown; curves show all
let curves = null;  // once loaded
let info = {steps: 0};
let workers = [];
let newestStep = {layers: [], metrics: {}};
let newestCheckpoint = null;

// ---- header ---------------------------------------------------------------------------------------

const stepSeconds = [];

function duration(seconds) {
  if (!Number.isFinite(seconds)) return '–';
  const whole = Math.round(seconds);
  const pad = (n) => String(n).padStart(2, '0');
  return `${Math.floor(whole / 3600)}:${pad(Math.floor(whole / 60) % 60)}:${pad(whole % 60)}`;
}

function timeLeft(step) {
  if (step.metrics.step_seconds) stepSeconds.push(step.metrics.step_seconds);
  if (stepSeconds.length > 20) stepSeconds.shift();
  return stepSeconds.reduce((a, b) => a + b, 0) / Math.max(1, stepSeconds.length) * (info.steps - step.step);
}

function percent(fraction) { return RunData.isNumber(fraction) ? `${(100 * fraction).toFixed(1)} %` : '–'; }

function showStep(step) {
  newestStep = step;
  const {metrics} = step;
  byId('head-step').textContent = info.steps ? `${step.step} / ${info.steps}` : step.step;
  byId('head-loss').textContent = fixed(metrics.loss, 4);
  byId('head-speed').textContent = fixed(metrics.tokens_per_second, 0);
  byId('head-mfu').textContent = percent(metrics.mfu);
  byId('head-violation').textContent = fixed(metrics.max_violation_window, 2);
  byId('head-left').textContent = duration(timeLeft(step));
  byId('progress').value = info.steps ? step.step / info.steps : 0;
  byId('no-data').hidden = true;
  byId('controls').hidden = false;
  showAlerts();
}

// Set only when it is another text: a reader's voice repeats what is set.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function showAlerts() {
  const alerts = alertsOf(newestStep, workers, newestCheckpoint);
  const list = byId('alerts');
  list.hidden = alerts.length === 0;
  if (list.dataset.text === alerts.join('\n')) return;
  list.dataset.text = alerts.join('\n');
  list.replaceChildren(...alerts.map((alert) => {
    const item = document.createElement('li');
    item.textContent = alert;
    return item;
  }));
}

function showState(state) { setText(byId('run-state'), state); }

// For those who hear the page: not every step, but every evaluation.
function tellProgress(evaluation) {
  setText(byId('progress-text'), `Step ${evaluation.step} of ${info.steps}: held-out loss ${fixed(evaluation.total.eval_loss, 3)}.`);
}

// ---- expert utilization ---------------------------------------------------------------------------

const heatMap = new HeatMap(byId('heat-map'), byId('heat-note'));
const shares = new Shares(() => load(`${runPath(shown)}/shares`));
let frames = [];
let frameLayers = [];
let following = true;

function showFrame() {
  const slider = byId('frame');
  slider.max = Math.max(0, frames.length - 1);
  if (following) slider.value = slider.max;
  const frame = frames[Number(slider.value)];
  byId('load-panel').hidden = !frame;
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

// ---- connection -----------------------------------------------------------------------------------

const runPath = (number) => `api/runs/${number}`;

async function load(path) {
  const response = await fetch(path, {cache: 'no-store'});
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

// What an event does: to its run's curves always, to the panels when that run is shown.
const onEvent = {
  step: {curves: (run, step) => run.add(step),
    panels: (step) => { showStep(step); addFrame(step); addShares(step); }},
  evaluation: {curves: (run, evaluation) => run.addEvaluation(evaluation),
    panels: (evaluation) => { showEvaluation(evaluation); tellProgress(evaluation); }},
  rolled_back: {curves: (run, event) => run.forgetAfter(event.step), panels: () => {}},
  state: {panels: (event) => showState(event.state)},
  workers: {panels: (event) => { workers = event.workers; showWorkers(workers, event.phases); showAlerts(); }},
  sample: {panels: (sample) => samples.add(sample)},
  checkpoint: {panels: (checkpoint) => { newestCheckpoint = checkpoint; checkpoints.add(checkpoint); showAlerts(); }},
  note: {panels: (note) => notes.add(note)},
};

function handle(name, data) {
  const {curves: toCurves, panels} = onEvent[name];
  if (toCurves) {
    toCurves(runs[data.run], data);
    curves.changed();
  }
  if (data.run === shown) panels(data);
}

// Each (re)connection loads everything anew, then goes on with events: nothing is missed in between.
function listen() {
  const source = new EventSource('api/events');
  let loaded = Promise.resolve();
  for (const name of Object.keys(onEvent)) {
    source.addEventListener(name, (event) => { loaded = loaded.then(() => handle(name, JSON.parse(event.data))).catch(showFailure); });
  }
  source.onopen = () => { loaded = loadAll().catch(showFailure); };
  source.onerror = () => {
    showState('not connected');
    // A browser gives a stream up that was refused: too many people watch. What is there is shown meanwhile.
    if (source.readyState !== EventSource.CLOSED) return;
    loadAll().catch(showFailure);
    setTimeout(listen, 5000);
  };
}

// The panels of one run, from the start.
async function showRun(number) {
  const [state, loads] = await Promise.all(['state', 'loads'].map((part) => load(`${runPath(number)}/${part}`)));
  shown = number;
  info = state.run;
  stepSeconds.length = 0;
  byId('run-name').textContent = info.name;
  document.title = `${info.name} – Troupe`;
  newestStep = {layers: [], metrics: {}};
  newestCheckpoint = state.checkpoints[state.checkpoints.length - 1] || null;
  ({workers} = state);
  if (state.step.step) showStep(state.step);
  ({frames, layers: frameLayers} = loads);
  following = true;
  showFrame();
  showWorkers(workers, state.phases);
  showEvaluation(state.evaluations[state.evaluations.length - 1]);
  samples.show(state.samples);
  checkpoints.show(state.checkpoints);
  notes.show(state.notes);
  showState(state.state);
  showAlerts();
  shares.domains = info.domains;
  await shares.refresh();
}

async function loadRun({number, name}) {
  const [state, history] = await Promise.all(['state', 'history'].map((part) => load(`${runPath(number)}/${part}`)));
  return new RunData(name, history, state.evaluations);
}

function offerRuns(list) {
  byId('run-choice').hidden = list.length < 2;
  byId('run').replaceChildren(...list.map(({number, name}) => new Option(name, number, false, number === shown)));
}

function showFailure(error) { showState(`cannot load: ${error.message}`); }

async function loadAll() {
  const list = await load('api/runs');
  runs = await Promise.all(list.map(loadRun));
  offerRuns(list);
  if (curves) curves.show(runs);
  else curves = new Curves(byId('curves'), runs);
  await showRun(Math.min(shown, runs.length - 1));
}

document.querySelectorAll('.scale').forEach(HeatMap.showScale);
byId('run').addEventListener('change', (event) => { showRun(Number(event.target.value)).catch(showFailure); });
byId('smoothing').addEventListener('input', (event) => curves && curves.smooth(Number(event.target.value)));
byId('log-scale').addEventListener('change', (event) => curves && curves.setLogLoss(event.target.checked));
listen();
