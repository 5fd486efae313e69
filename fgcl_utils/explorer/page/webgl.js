// The points in WebGL 2: one call draws them all.

import { colouring } from "./colours.js";
import { columns, n } from "./data.js";
import { ringed, visibility } from "./filters.js";
import { scaleOf } from "./geometry.js";
import { panesNow } from "./map.js";
import { rgb, symbolOf } from "./palette.js";
import { resizeCanvas } from "./pen.js";
import { mapOf } from "./steps.js";
import { theme } from "./theme.js";

const VERTEX = `#version 300 es
  in vec2 here; in vec2 there; in vec3 colour; in vec2 look; // symbol, level + 4, 8: ring on map
  uniform vec2 scale, offset; uniform float tween, radius, dimRadius, ringBit;
  uniform vec3 dim;
  flat out int symbol; flat out float ring, size, solid; flat out vec3 tint;
  void main() {
    float lvl = mod(look.y, 4.0);
    ring = lvl > 1.5 ? mod(floor(look.y / ringBit), 2.0) : 0.0;
    symbol = int(look.x);
    size = lvl < 1.5 ? dimRadius : radius;
    tint = lvl < 1.5 ? dim : colour;
    solid = lvl < 1.5 ? 0.55 : 1.0;
    gl_Position = lvl < 0.5 ? vec4(2.0, 2.0, 2.0, 1.0)
      : vec4(mix(here, there, tween) * scale + offset, 0.0, 1.0);
    gl_PointSize = 2.0 * (size * (ring > 0.5 ? 1.85 : 1.2) + 2.0);
  }`;

const FRAGMENT = `#version 300 es
  precision highp float;
  flat in int symbol; flat in float ring, size, solid; flat in vec3 tint;
  uniform vec3 page, ink; uniform float pixel;
  out vec4 result;
  float plus(vec2 p) { p = abs(p); if (p.y > p.x) p = p.yx; return max(p.x - 0.98, p.y - 0.36); }
  float triangle(vec2 p) { return max(abs(p.x) * 0.866 + p.y * 0.5, -p.y) - 0.6; }
  float star(vec2 p) {
    const float half_turn = 0.62832;
    float a = mod(atan(p.x, p.y) + half_turn, 2.0 * half_turn) - half_turn;
    vec2 q = length(p) * vec2(cos(a), abs(sin(a)));
    vec2 edge = vec2(0.55 * cos(half_turn), 0.55 * sin(half_turn)) - vec2(1.2, 0.0);
    return dot(q - vec2(1.2, 0.0), normalize(vec2(edge.y, -edge.x)));
  }
  float outline(vec2 p) { // signed distance in radii, negative inside
    if (symbol == 0) return length(p) - 0.92;
    if (symbol == 1) return max(abs(p.x), abs(p.y)) - 0.82;
    if (symbol == 2) return (abs(p.x) + abs(p.y)) * 0.7071 - 0.806;
    if (symbol == 3) return triangle(p);
    if (symbol == 4) return plus(p);
    if (symbol == 5) return triangle(vec2(p.x, -p.y));
    if (symbol == 6) return plus(vec2(p.x + p.y, p.y - p.x) * 0.7071);
    return star(p);
  }
  void main() {
    float extent = size * (ring > 0.5 ? 1.85 : 1.2) + 2.0;
    vec2 p = (gl_PointCoord * 2.0 - 1.0) * vec2(1.0, -1.0) * extent / size;
    float d = outline(p) * size; // in device pixels from here on
    float fill = clamp(0.5 - d, 0.0, 1.0);
    float rim = size > 2.5 * pixel ? clamp(0.5 + pixel * 0.9 - d, 0.0, 1.0) : fill;
    vec4 c = vec4(mix(page, tint, fill), rim) * vec4(1.0, 1.0, 1.0, solid);
    if (ring > 0.5) {
      float r = abs(length(p) * size - size * 1.5 - pixel) - 0.65 * pixel;
      float on = clamp(0.5 - r, 0.0, 1.0);
      c = vec4(mix(c.rgb, ink, on), max(c.a, on));
    }
    if (c.a < 0.01) discard;
    result = vec4(c.rgb * c.a, c.a);
  }`;

export class WebGLPoints {
  // null where there is no WebGL.
  static open(canvas) {
    const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
    return gl && new WebGLPoints(gl, canvas);
  }

  constructor(gl, canvas) {
    this.name = "webgl";
    this.gl = gl;
    this.canvas = canvas;
    this.build();
  }

  build() {
    const { gl } = this;
    const program = (this.program = gl.createProgram());
    for (const [type, source] of [
      [gl.VERTEX_SHADER, VERTEX],
      [gl.FRAGMENT_SHADER, FRAGMENT],
    ]) {
      const part = gl.createShader(type);
      gl.shaderSource(part, source);
      gl.compileShader(part);
      gl.attachShader(program, part);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
      throw new Error(gl.getProgramInfoLog(program) || "the map's shaders do not link");
    }
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.uniform = new Proxy({}, { get: (_, name) => gl.getUniformLocation(program, name) });
    this.positions = columns.positions.map((data) => this.buffer(data));
    this.colours = this.buffer(new Uint8Array(4 * n));
    this.looks = this.buffer(new Uint8Array(2 * n));
    this.orders = [gl.createBuffer(), gl.createBuffer()]; // a pane's: ringed points last
    gl.enable(gl.SCISSOR_TEST);
  }

  buffer(data) {
    const { gl } = this;
    const buffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    return buffer;
  }

  restyle() {
    const { gl } = this;
    const colours = new Uint8Array(4 * n);
    const looks = new Uint8Array(2 * n);
    const { codes, colours: hex, legend } = colouring();
    const tints = hex.map(rgb);
    const shownPanes = panesNow();
    for (let i = 0; i < n; i++) {
      colours.set(tints[codes[i]], 4 * i);
      looks[2 * i] = symbolOf(legend.codes[i]);
      looks[2 * i + 1] = visibility[i];
      for (const { place, method } of shownPanes)
        if (ringed(i, method)) looks[2 * i + 1] += 4 << place;
    }
    for (const [buffer, data] of [
      [this.colours, colours],
      [this.looks, looks],
    ]) {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
    }
    for (const { place } of shownPanes) this.arrange(this.orders[place], looks, 4 << place);
  }

  // Dimmed below, ringed on top.
  arrange(buffer, looks, ringBit) {
    const { gl } = this;
    const layers = [[], [], []];
    for (let i = 0; i < n; i++) {
      const look = looks[2 * i + 1];
      if (visibility[i]) layers[visibility[i] === 1 ? 0 : look & ringBit ? 2 : 1].push(i);
    }
    const order = Uint32Array.from(layers.flat());
    this.drawn = order.length;
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, order, gl.DYNAMIC_DRAW);
  }

  attribute(name, buffer, size, type, normalized) {
    const { gl } = this;
    const place = gl.getAttribLocation(this.program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(place);
    const stride = type === gl.UNSIGNED_BYTE && size === 3 ? 4 : 0;
    gl.vertexAttribPointer(place, size, type, normalized, stride, 0);
  }

  draw() {
    const { gl, canvas } = this;
    const pixel = resizeCanvas(canvas);
    gl.scissor(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    this.attribute("colour", this.colours, 3, gl.UNSIGNED_BYTE, true);
    this.attribute("look", this.looks, 2, gl.UNSIGNED_BYTE, false);
    gl.uniform1f(this.uniform.pixel, pixel);
    for (const name of ["page", "ink", "dim"]) {
      const [r, g, b] = theme.rgb[name];
      gl.uniform3f(this.uniform[name], r / 255, g / 255, b / 255);
    }
    for (const pane of panesNow()) this.drawPane(pane, pixel);
  }

  drawPane(pane, pixel) {
    const { gl, canvas, uniform } = this;
    const from = Math.round(pane.left * pixel);
    const area = [from, 0, Math.round((pane.left + pane.width) * pixel) - from, canvas.height];
    gl.viewport(...area);
    gl.scissor(...area);
    this.attribute("here", this.positions[pane.from], 2, gl.SHORT, true);
    this.attribute("there", this.positions[mapOf(pane.method)], 2, gl.SHORT, true);
    const { x, y } = pane.view;
    const sx = (2 * scaleOf(pane)) / pane.width;
    const sy = (2 * scaleOf(pane)) / pane.height;
    gl.uniform2f(uniform.scale, sx, sy);
    gl.uniform2f(uniform.offset, -x * sx, (pane.foot - pane.head) / pane.height - y * sy);
    gl.uniform1f(uniform.tween, pane.t);
    gl.uniform1f(uniform.radius, pane.radius * pixel);
    gl.uniform1f(uniform.dimRadius, Math.max(0.7, pane.radius * 0.62) * pixel);
    gl.uniform1f(uniform.ringBit, 4 << pane.place);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.orders[pane.place]);
    gl.drawElements(gl.POINTS, this.drawn, gl.UNSIGNED_INT, 0);
  }
}
