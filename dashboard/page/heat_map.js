'use strict';

// Rows (by default layers) × experts, coloured by log2 of load / mean: blue below, near-white at 1, orange above, each darker
// with the distance, so that the two sides are told apart also by colour-blind eyes and degrees also without colour.
class HeatMap {
  // load / mean → red, green, blue; in between by log2
  static scale = [
    [1 / 8, [16, 56, 112]], [1 / 4, [47, 109, 181]], [1 / 2, [140, 182, 222]], [1, [242, 240, 235]],
    [2, [243, 174, 118]], [4, [217, 98, 34]], [8, [152, 44, 10]], [16, [78, 14, 6]],
  ];

  // names: what a row and a cell are called
  constructor(canvas, note, names = {}) {
    this.canvas = canvas;
    this.note = note;
    this.rowName = names.row || ((layer) => `layer ${layer}`);
    this.describeCell = names.cell ||
      ((layer, expert, value) => `Layer ${layer}, expert ${expert}: ${value.toFixed(2)} × the mean load`);
    this.layers = [];
    this.load = [];
    this.selected = null;
    canvas.addEventListener('mousemove', (event) => this.point(event));
    canvas.addEventListener('keydown', (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  show(layers, load) {
    this.layers = layers;
    this.load = load;
    this.draw();
    this.describe();
  }

  static color(value) {
    const {scale} = HeatMap;
    const inside = Math.max(scale[0][0], Math.min(scale[scale.length - 1][0], value));
    const above = Math.max(1, scale.findIndex(([limit]) => inside <= limit));
    const [[low, from], [high, to]] = [scale[above - 1], scale[above]];
    const share = Math.log2(inside / low) / Math.log2(high / low);
    return `rgb(${from.map((part, i) => Math.round(part + (to[i] - part) * share)).join(',')})`;
  }

  // The scale, in the colours that are drawn.
  static showScale(element) {
    const {scale} = HeatMap;
    element.replaceChildren(...scale.map(([value], index) => {
      const item = document.createElement('li');
      item.append(swatch(HeatMap.color(value)), value < 1 ? `1/${1 / value}` : String(value));
      if (index === scale.length - 1) item.append(' and more');
      return item;
    }));
  }

  geometry() {
    const left = 64;
    const experts = this.load.length ? this.load[0].length : 0;
    const width = Math.max(1, this.canvas.clientWidth - left);
    const cell = width / Math.max(1, experts);
    const height = Math.max(10, Math.min(28, 480 / Math.max(1, this.load.length)));
    return {left, experts, cell, height};
  }

  draw() {
    const {left, experts, cell, height} = this.geometry();
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.canvas.clientWidth * scale);
    const total = Math.max(1, this.load.length) * height + 18;
    this.canvas.style.height = `${total}px`;
    this.canvas.height = Math.round(total * scale);
    const context = this.canvas.getContext('2d');
    context.scale(scale, scale);
    const ink = getComputedStyle(document.body).color;
    context.font = '11px system-ui, sans-serif';
    context.textBaseline = 'middle';
    const gap = cell > 6 ? 1 : 0;
    this.load.forEach((row, y) => {
      context.fillStyle = ink;
      context.fillText(this.rowName(this.layers[y]), 2, y * height + height / 2, left - 6);
      row.forEach((value, x) => this.drawCell(context, left + x * cell, y * height, cell - gap, height - gap, value));
    });
    context.fillStyle = ink;
    const step = Math.max(1, Math.ceil(experts * 28 / Math.max(1, experts * cell)));
    for (let x = 0; x < experts; x += step) context.fillText(String(x), left + x * cell + 2, total - 8);
    if (this.selected) {
      context.strokeStyle = ink;
      context.lineWidth = 2;
      context.strokeRect(left + this.selected.x * cell, this.selected.y * height, cell - gap, height - gap);
    }
  }

  drawCell(context, x, y, width, height, value) {
    context.fillStyle = HeatMap.color(value);
    context.fillRect(x, y, width, height);
    if (value > 0) return;
    context.strokeStyle = '#fff';
    context.lineWidth = 1;
    context.save();
    context.beginPath();
    context.rect(x, y, width, height);
    context.clip();
    context.beginPath();
    for (let d = -height; d < width; d += 5) {
      context.moveTo(x + d, y + height);
      context.lineTo(x + d + height, y);
    }
    context.stroke();
    context.restore();
  }

  point(event) {
    const {left, cell, height} = this.geometry();
    this.select(Math.floor((event.offsetX - left) / cell), Math.floor(event.offsetY / height));
  }

  key(event) {
    const move = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (!move) return;
    event.preventDefault();
    const from = this.selected || {x: 0, y: 0};
    this.select(from.x + move[0], from.y + move[1]);
  }

  select(x, y) {
    if (!this.load[y] || x < 0 || x >= this.load[y].length) return;
    this.selected = {x, y};
    this.draw();
    this.describe();
  }

  describe() {
    if (!this.selected || !this.load[this.selected.y]) return;
    const {x, y} = this.selected;
    this.note.textContent = this.describeCell(this.layers[y], x, this.load[y][x]);
  }
}
