// The interactive map. One file, no library, no request: everything is in the page, or in script
// shards beside it (scripts, because fetch() fails on file://).
//
// Reads top to bottom: the data, the two renderers, the camera, the view's state, the panels, the
// input. Names come from users' files, so text enters the page through textContent alone.
"use strict";
(() => {
  // ------------------------------------------------------------------------------ the data

  const $ = (id) => document.getElementById(id);
  const meta = JSON.parse($("meta").textContent);
  const methods = meta.methods; // [{name, dimensions, centre, half, trustworthiness, …}]
  const n = meta.points;
  const columns = readColumns(bytesOf($("columns").textContent));
  $("meta").remove();
  $("columns").remove();
  const speciesOf = columns.species; // (n,)
  const genusOf = Uint16Array.from(speciesOf, (s) => meta.genus_of_species[s]); // (n,)
  const isOutlier = (i, m) => (columns.outliers[i] >> m) & 1;
  const outlierCount = methods.map((_, m) => count((i) => isOutlier(i, m)));

  function bytesOf(base64) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
    const text = atob(base64.trim());
    const bytes = new Uint8Array(text.length);
    for (let j = 0; j < bytes.length; j++) bytes[j] = text.charCodeAt(j);
    return bytes;
  }

  function readColumns(bytes) {
    let at = 0;
    const take = (Type, length) => {
      const view = new Type(bytes.buffer.slice(at, (at += length * Type.BYTES_PER_ELEMENT)));
      return view;
    };
    return {
      positions: methods.map(() => take(Int16Array, 2 * n)), // per method (n, 2) of ±32767
      species: take(Uint16Array, n),
      nearest: methods.map(() => (meta.has_nearest ? take(Uint16Array, n) : null)), // genus codes
      outliers: take(Uint8Array, n), // bit m: outlier under method m
    };
  }

  function count(test) {
    let total = 0;
    for (let i = 0; i < n; i++) if (test(i)) total++;
    return total;
  }

  // A shard holds the records of consecutive points: count + 1 offsets, then the bytes.
  // In one file it is an inert <script id="thumb-3">; in a folder, a script that calls the
  // function below.
  const shards = new Map();
  const arrivals = new Map();
  window.explorerShard = (name, base64) => arrivals.get(name)?.(base64);

  function shard(name) {
    if (!shards.has(name)) shards.set(name, loadShard(name));
    return shards.get(name);
  }

  async function loadShard(name) {
    const inline = $(name);
    const base64 = inline ? inline.textContent : await scriptShard(name);
    if (inline) inline.remove(); // decoded once; the text need not stay in memory
    return base64 === null ? null : bytesOf(base64);
  }

  function scriptShard(name) {
    return new Promise((resolve) => {
      const script = document.createElement("script");
      const finish = (base64) => {
        arrivals.delete(name);
        script.remove();
        resolve(base64);
      };
      arrivals.set(name, finish);
      script.onerror = () => finish(null);
      script.src = `shards/${name}.js`;
      document.head.append(script);
    });
  }

  async function record(kind, i) {
    const size = meta.shard_size[kind];
    const bytes = size ? await shard(`${kind}-${Math.floor(i / size)}`) : null;
    return bytes ? recordIn(bytes, i % size) : new Uint8Array(0);
  }

  function recordIn(bytes, j) {
    const view = new DataView(bytes.buffer);
    return bytes.subarray(view.getUint32(4 * j, true), view.getUint32(4 * j + 4, true));
  }

  // thumb: WebP for hover and lists. photo: larger, for pins; may be empty, then the thumb serves.
  const urls = new Map();
  async function photoURL(kind, i) {
    const key = `${kind}-${i}`;
    if (!urls.has(key)) {
      const bytes = await record(kind, i);
      if (!bytes.length) return null;
      urls.set(key, URL.createObjectURL(new Blob([bytes], { type: "image/webp" })));
      if (urls.size > 1500) forgetOldest();
    }
    return urls.get(key);
  }

  function forgetOldest() {
    const [key, url] = urls.entries().next().value;
    URL.revokeObjectURL(url);
    urls.delete(key);
  }

  // facts: neighbours in the original space (uint16 or 32), vectors (scale, int8), image's name.
  const facts = new Map();
  async function factsOf(i) {
    if (!facts.has(i)) facts.set(i, readFacts(await record("facts", i)));
    return facts.get(i);
  }

  function readFacts(bytes) {
    const listed = methods.length * meta.neighbours;
    let at = meta.index_bytes * listed;
    const ids = new (meta.index_bytes === 2 ? Uint16Array : Uint32Array)(bytes.slice(0, at).buffer);
    const vectors = methods.map((method) => {
      const [scale] = new Float32Array(bytes.slice(at, (at += 4)).buffer);
      const stored = new Int8Array(bytes.slice(at, (at += method.stored_dimensions)).buffer);
      return Float32Array.from(stored, (v) => v * scale);
    });
    return {
      neighbours: methods.map((_, m) =>
        ids.subarray(m * meta.neighbours, (m + 1) * meta.neighbours),
      ),
      vectors,
      image: new TextDecoder().decode(bytes.subarray(at)),
    };
  }

  function similarity(a, b) {
    let sum = 0;
    for (let d = 0; d < a.length; d++) sum += a[d] * b[d];
    return sum;
  }

  // Place of j among i's neighbours, 1 = nearest: exact in one file, else only within the list.
  async function rankOf(i, j, m) {
    const own = await factsOf(i);
    const listed = own.neighbours[m].indexOf(j);
    if (listed >= 0) return listed + 1;
    if (!meta.standalone) return Infinity;
    const from = own.vectors[m];
    const bar = similarity(from, (await factsOf(j)).vectors[m]);
    let closer = 0;
    for (let other = 0; other < n; other++) {
      if (other === i || other === j) continue;
      if (similarity(from, (await known(other)).vectors[m]) > bar) closer++;
    }
    return Math.max(closer + 1, meta.neighbours + 1);
  }
  const known = (i) => facts.get(i) ?? factsOf(i); // no turn of the event loop once it is there

  // ---------------------------------------------------------------------- colours and symbols

  // Okabe and Ito: told apart with any colour vision. One more symbol than colours, so that the
  // pairs repeat only after 56 genera. The book's figures use the same order.
  const OKABE_ITO = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442"];
  const SYMBOLS = [
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "cross",
    "triangle-down",
    "x",
    "star",
  ];
  const symbolOf = (genus) => genus % SYMBOLS.length;
  const genusColour = (genus) => OKABE_ITO[genus % OKABE_ITO.length];

  // Species are too many to tell by colour; neighbouring codes at least get distant hues.
  const speciesColour = meta.species.map((_, s) =>
    hslToHex((s * 137.508) % 360, [0.62, 0.5, 0.75][s % 3], [0.5, 0.4, 0.6][s % 3]),
  );

  function hslToHex(hue, saturation, lightness) {
    const channel = (k0) => {
      const k = (k0 + hue / 30) % 12;
      const reach = saturation * Math.min(lightness, 1 - lightness);
      const value = lightness - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1));
      return Math.round(255 * value)
        .toString(16)
        .padStart(2, "0");
    };
    return `#${channel(0)}${channel(8)}${channel(4)}`;
  }

  const colourOf = (i) =>
    state.colour === "species" ? speciesColour[speciesOf[i]] : genusColour(genusOf[i]);
  const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Outlines in units of the marker's radius, y down, for SVG and the 2-D canvas.
  const OUTLINES = (() => {
    const turn = (points, angle) =>
      points.map(([x, y]) => [
        x * Math.cos(angle) - y * Math.sin(angle),
        x * Math.sin(angle) + y * Math.cos(angle),
      ]);
    const around = (corners, radius, start = -Math.PI / 2) =>
      Array.from({ length: corners }, (_, c) => {
        const r = Array.isArray(radius) ? radius[c % radius.length] : radius;
        const angle = start + (c * 2 * Math.PI) / corners;
        return [r * Math.cos(angle), r * Math.sin(angle)];
      });
    const w = 0.36,
      l = 0.98;
    const plus = [
      [w, -l],
      [w, -w],
      [l, -w],
      [l, w],
      [w, w],
      [w, l],
      [-w, l],
      [-w, w],
      [-l, w],
      [-l, -w],
      [-w, -w],
      [-w, -l],
    ];
    return [
      around(24, 0.92),
      around(4, 1.16, Math.PI / 4),
      around(4, 1.14),
      around(3, 1.2),
      plus,
      around(3, 1.2, Math.PI / 2),
      turn(plus, Math.PI / 4),
      around(10, [1.2, 0.55]),
    ];
  })();

  function trace(context, symbol, x, y, radius) {
    OUTLINES[symbol].forEach(([dx, dy], c) =>
      context[c ? "lineTo" : "moveTo"](x + dx * radius, y + dy * radius),
    );
    context.closePath();
  }

  function symbolIcon(genus, colour = genusColour(genus)) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "-1.3 -1.3 2.6 2.6");
    svg.setAttribute("class", "symbol");
    svg.setAttribute("aria-hidden", "true");
    const polygon = document.createElementNS(svg.namespaceURI, "polygon");
    polygon.setAttribute("points", OUTLINES[symbolOf(genus)].map((p) => p.join()).join(" "));
    polygon.setAttribute("fill", colour);
    svg.append(polygon);
    return svg;
  }

  // ---------------------------------------------------------------------------- the renderers

  // Each point has a level: 0 hidden, 1 dimmed by a filter, 2 shown.
  const level = new Uint8Array(n).fill(2);
  const ringed = (i) => level[i] === 2 && isOutlier(i, state.method);

  const VERTEX = `#version 300 es
    in vec2 here; in vec2 there; in vec3 colour; in vec2 look; // look: symbol, 4·ring + level
    uniform vec2 scale, offset; uniform float tween, radius, dimRadius;
    uniform vec3 dimColour;
    flat out int symbol; flat out float ring, size, solid; flat out vec3 tint;
    void main() {
      float lvl = mod(look.y, 4.0);
      ring = lvl > 1.5 ? floor(look.y / 4.0) : 0.0;
      symbol = int(look.x);
      size = lvl < 1.5 ? dimRadius : radius;
      tint = lvl < 1.5 ? dimColour : colour;
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

  class WebGLPoints {
    static open(canvas) {
      const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
      return gl && new WebGLPoints(gl, canvas);
    }

    constructor(gl, canvas) {
      this.name = "webgl";
      this.gl = gl;
      this.canvas = canvas;
      // Browsers keep about 16 contexts and take the oldest away when a page asks for more.
      canvas.addEventListener("webglcontextlost", () => useRenderer(CanvasPoints.instead()));
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
      this.order = gl.createBuffer();
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
      const byGenus = meta.genera.map((_, g) => rgb(genusColour(g)));
      const bySpecies = speciesColour.map(rgb);
      const layers = [[], [], []]; // dimmed below, ringed on top
      for (let i = 0; i < n; i++) {
        const ring = ringed(i) ? 1 : 0;
        colours.set(
          state.colour === "species" ? bySpecies[speciesOf[i]] : byGenus[genusOf[i]],
          4 * i,
        );
        looks[2 * i] = symbolOf(genusOf[i]);
        looks[2 * i + 1] = 4 * ring + level[i];
        if (level[i]) layers[level[i] === 1 ? 0 : 1 + ring].push(i);
      }
      for (const [buffer, data] of [
        [this.colours, colours],
        [this.looks, looks],
      ]) {
        gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
        gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
      }
      this.drawn = layers[0].length + layers[1].length + layers[2].length;
      const order = new Uint32Array(this.drawn);
      let at = 0;
      for (const layer of layers) {
        order.set(layer, at);
        at += layer.length;
      }
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.order);
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
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      this.attribute("here", this.positions[tween.from], 2, gl.SHORT, true);
      this.attribute("there", this.positions[state.method], 2, gl.SHORT, true);
      this.attribute("colour", this.colours, 3, gl.UNSIGNED_BYTE, true);
      this.attribute("look", this.looks, 2, gl.UNSIGNED_BYTE, false);
      const { x, y } = state.view;
      const sx = (2 * camera.k()) / camera.width,
        sy = (2 * camera.k()) / camera.height;
      const set = this.uniform;
      gl.uniform2f(set.scale, sx, sy);
      gl.uniform2f(set.offset, -x * sx, camera.foot / camera.height - y * sy);
      gl.uniform1f(set.tween, tween.t);
      gl.uniform1f(set.radius, camera.radius() * pixel);
      gl.uniform1f(set.dimRadius, Math.max(0.7, camera.radius() * 0.62) * pixel);
      gl.uniform1f(set.pixel, pixel);
      for (const name of ["page", "ink", "dim"]) {
        const [r, g, b] = theme.rgb[name];
        gl.uniform3f(name === "dim" ? set.dimColour : set[name], r / 255, g / 255, b / 255);
      }
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.order);
      gl.drawElements(gl.POINTS, this.drawn, gl.UNSIGNED_INT, 0);
    }
  }

  // Where there is no WebGL. A canvas, since thousands of SVG nodes would make it crawl.
  class CanvasPoints {
    static instead() {
      const fresh = el("canvas"); // a canvas that has held WebGL gives no other context
      $("points").replaceWith(fresh);
      fresh.id = "points";
      return new CanvasPoints(fresh);
    }

    constructor(canvas) {
      this.name = "canvas";
      this.canvas = canvas;
      this.context = canvas.getContext("2d");
    }

    restyle() {
      const groups = new Map(); // one path for each look; dimmed first, ringed last
      for (let i = 0; i < n; i++) {
        if (!level[i]) continue;
        const layer = level[i] === 1 ? 0 : ringed(i) ? 2 : 1;
        const key = `${layer} ${layer ? colourOf(i) : ""} ${symbolOf(genusOf[i])}`;
        if (!groups.has(key)) groups.set(key, { layer, first: i, members: [] });
        groups.get(key).members.push(i);
      }
      this.groups = [...groups.values()].sort((a, b) => a.layer - b.layer);
    }

    draw() {
      const { context, canvas } = this;
      const pixel = resizeCanvas(canvas);
      context.setTransform(pixel, 0, 0, pixel, 0, 0);
      context.clearRect(0, 0, camera.width, camera.height);
      const radius = camera.radius();
      for (const { layer, first, members } of this.groups) {
        context.beginPath();
        for (const i of members) {
          const [x, y] = screenOf(i);
          trace(context, symbolOf(genusOf[first]), x, y, layer ? radius : radius * 0.62);
        }
        context.fillStyle = layer ? colourOf(first) : theme.hex.dim;
        context.globalAlpha = layer ? 1 : 0.55;
        context.strokeStyle = theme.hex.page;
        context.lineWidth = 1.4;
        if (radius > 2.5) context.stroke();
        context.fill();
        context.globalAlpha = 1;
        if (layer < 2) continue;
        context.beginPath();
        for (const i of members) circle(context, ...screenOf(i), radius * 1.5 + 1);
        context.strokeStyle = theme.hex.ink;
        context.lineWidth = 1.3;
        context.stroke();
      }
    }
  }

  function circle(context, x, y, radius) {
    context.moveTo(x + radius, y);
    context.arc(x, y, radius, 0, 2 * Math.PI);
  }

  function resizeCanvas(canvas) {
    const width = Math.round(camera.width * camera.pixel);
    const height = Math.round(camera.height * camera.pixel);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    return camera.pixel;
  }

  let renderer = null;
  function useRenderer(chosen) {
    renderer = chosen;
    document.documentElement.dataset.renderer = renderer.name;
    renderer.restyle();
    repaint();
  }

  function openRenderer() {
    try {
      return WebGLPoints.open($("points")) ?? new CanvasPoints($("points"));
    } catch (error) {
      console.warn("no WebGL map:", error);
      return CanvasPoints.instead();
    }
  }

  // ----------------------------------------------------------------------------- the camera

  // The map is a square from −1 to 1; the view is its centre and a zoom, 1 = all of it. The foot
  // keeps the whole map clear of the buttons below it.
  const camera = {
    width: 1,
    height: 1,
    foot: 40,
    pixel: 1, // device pixels in one of the page
    k: () => 0.475 * Math.min(camera.width, camera.height - camera.foot) * state.view.z,
    radius: () => {
      const whole = Math.max(1.3, Math.min(6, 210 / Math.sqrt(n)));
      return Math.min(11, whole * state.view.z ** 0.45);
    },
    toScreen: (x, y) => [
      camera.width / 2 + (x - state.view.x) * camera.k(),
      (camera.height - camera.foot) / 2 - (y - state.view.y) * camera.k(),
    ],
    toMap: (px, py) => [
      state.view.x + (px - camera.width / 2) / camera.k(),
      state.view.y - (py - (camera.height - camera.foot) / 2) / camera.k(),
    ],
  };

  const tween = { from: 0, t: 1 };
  function positionOf(i) {
    // on the square, as drawn at this moment
    const here = columns.positions[tween.from],
      there = columns.positions[state.method];
    const mix = (d) => ((1 - tween.t) * here[2 * i + d] + tween.t * there[2 * i + d]) / 32767;
    return [mix(0), mix(1)];
  }
  const screenOf = (i) => camera.toScreen(...positionOf(i));

  function pointAt(px, py, reach = 14) {
    const xy = columns.positions[state.method];
    const [x, y] = camera.toMap(px, py).map((v) => v * 32767);
    const limit = (reach / camera.k()) * 32767;
    let best = -1,
      nearest = limit * limit;
    for (let i = 0; i < n; i++) {
      // 300,000 points take a millisecond: no index needed
      if (level[i] !== 2) continue;
      const dx = xy[2 * i] - x,
        dy = xy[2 * i + 1] - y;
      const distance = dx * dx + dy * dy;
      if (distance < nearest) {
        best = i;
        nearest = distance;
      }
    }
    return best;
  }

  function zoomBy(factor, px = camera.width / 2, py = (camera.height - camera.foot) / 2) {
    const before = camera.toMap(px, py);
    state.view.z = Math.max(0.5, Math.min(200, state.view.z * factor));
    const after = camera.toMap(px, py);
    state.view.x += before[0] - after[0];
    state.view.y += before[1] - after[1];
    viewChanged();
  }

  function viewChanged() {
    repaint();
    saveSoon();
  }

  // -------------------------------------------------------------------------- the view's state

  const MOST_PINS = 8;
  const state = {
    method: 0,
    colour: "genus",
    filter: "all", // all | every | out:m | mended:a:b
    hidden: new Set(), // genus codes switched off in the legend
    marked: new Set(), // species codes; if any, the others are dimmed
    query: "",
    chosen: -1,
    pins: [],
    selection: [], // from the lasso or the search
    tab: "compare",
    view: { x: 0, y: 0, z: 1 },
    theme: "auto",
  };

  const FILTERS = (() => {
    const every = (i) => methods.every((_, m) => isOutlier(i, m));
    const list = [{ key: "all", label: "photos", test: () => true }];
    methods.forEach((method, m) =>
      list.push({
        key: `out:${m}`,
        label: `outliers under ${method.name}`,
        test: (i) => isOutlier(i, m),
      }),
    );
    methods.forEach((a, from) =>
      methods.forEach((b, to) => {
        if (from === to) return;
        const test = (i) => isOutlier(i, from) && !isOutlier(i, to);
        list.push({
          key: `mended:${from}:${to}`,
          label: `outliers under ${a.name}, mended by ${b.name}`,
          test,
        });
      }),
    );
    if (methods.length > 1)
      list.push({ key: "every", label: "outliers under every method", test: every });
    return list.map((filter) => ({ ...filter, size: count(filter.test) }));
  })();
  const filterNow = () => FILTERS.find((filter) => filter.key === state.filter) ?? FILTERS[0];

  function relevel() {
    const { test } = filterNow();
    const words = state.query.trim().toLowerCase();
    const found = meta.species.map(
      (name, s) =>
        !words ||
        name.toLowerCase().includes(words) ||
        meta.genera[meta.genus_of_species[s]].toLowerCase().includes(words),
    );
    for (let i = 0; i < n; i++) {
      const species = speciesOf[i];
      const passes = test(i) && found[species] && (!state.marked.size || state.marked.has(species));
      level[i] = state.hidden.has(genusOf[i]) ? 0 : passes ? 2 : 1;
    }
    renderer.restyle();
  }

  const shown = () => {
    const list = [];
    for (let i = 0; i < n; i++) if (level[i] === 2) list.push(i);
    return list;
  };

  // One door for every change: set, then refresh what depends on it.
  const STYLING = ["method", "colour", "filter", "hidden", "marked", "query"];
  function update(change) {
    const before = state.method;
    Object.assign(state, change);
    if (state.method !== before) startTween(before);
    if (STYLING.some((key) => key in change)) relevel();
    repaint();
    showControls();
    showReading();
    showNeighbours();
    showPanel();
    saveSoon();
  }

  function startTween(before) {
    hideCard();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    Object.assign(tween, { from: before, t: still ? 1 : 0 });
    if (still) return;
    const began = performance.now();
    const length = n > 100000 ? 450 : 700;
    const id = (tween.id = (tween.id ?? 0) + 1);
    const step = (now) => {
      if (tween.id !== id) return; // another switch came in between
      const part = Math.max(0, Math.min(1, (now - began) / length));
      tween.t = part < 0.5 ? 4 * part ** 3 : 1 - (2 - 2 * part) ** 3 / 2;
      repaint();
      if (part < 1) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  const switchMethod = (m) => update({ method: m });
  const choose = (i) => {
    update({ chosen: i });
    if (i >= 0) announce(describe(i));
  };

  function togglePin(i) {
    const at = state.pins.indexOf(i);
    if (at < 0 && state.pins.length >= MOST_PINS) {
      announce(`${MOST_PINS} photos are compared at most; unpin one first.`, true);
      return;
    }
    const pins = at < 0 ? [...state.pins, i] : state.pins.filter((pin) => pin !== i);
    update({ pins, chosen: i, tab: "compare" });
    announce(`${at < 0 ? "Pinned" : "Unpinned"} ${describe(i)}`);
  }

  function step(direction) {
    const list = state.selection.length ? state.selection : shown();
    if (!list.length) return;
    const at = list.indexOf(state.chosen);
    const next = at < 0 ? (direction > 0 ? 0 : list.length - 1) : at + direction;
    const i = list[(next + list.length) % list.length];
    choose(i);
    bringIntoView(i);
    showCard(i);
  }

  function bringIntoView(i) {
    const [x, y] = screenOf(i);
    if (x > 20 && y > 20 && x < camera.width - 20 && y < camera.height - 20) return;
    [state.view.x, state.view.y] = positionOf(i);
    viewChanged();
  }

  const nearestName = (i, m) => (meta.has_nearest ? meta.genera[columns.nearest[m][i]] : null);
  const speciesName = (i) => meta.species[speciesOf[i]];
  const genusName = (i) => meta.genera[genusOf[i]];
  const letter = (place) => String.fromCharCode(65 + place);

  function describe(i) {
    const { name } = methods[state.method];
    const near = nearestName(i, state.method);
    const verdict = isOutlier(i, state.method)
      ? `outlier under ${name}${near ? `, nearest to ${near}` : ""}`
      : `no outlier under ${name}`;
    return `${speciesName(i)}, genus ${genusName(i)}, ${verdict}`;
  }

  // ------------------------------------------------------------------------------- drawing

  let frame = 0;
  function repaint() {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      renderer.draw();
      drawOverlay();
    });
  }

  function drawOverlay() {
    const canvas = $("overlay");
    const pixel = resizeCanvas(canvas);
    const context = canvas.getContext("2d");
    context.setTransform(pixel, 0, 0, pixel, 0, 0);
    context.clearRect(0, 0, camera.width, camera.height);
    const radius = camera.radius();
    if (state.chosen >= 0) drawNeighbourLines(context, radius);
    if (hovered >= 0) halo(context, hovered, radius + 4, theme.hex.ink, 2);
    if (state.chosen >= 0) halo(context, state.chosen, radius + 5, theme.hex.accent, 3);
    state.pins.forEach((i, place) => drawPin(context, i, letter(place), radius));
    if (lasso.path.length) drawLasso(context);
  }

  function halo(context, i, radius, colour, width) {
    const [x, y] = screenOf(i);
    for (const [style, line] of [
      [theme.hex.page, width + 2.5],
      [colour, width],
    ]) {
      context.beginPath();
      circle(context, x, y, radius);
      context.strokeStyle = style;
      context.lineWidth = line;
      context.stroke();
    }
  }

  function drawNeighbourLines(context, radius) {
    const near = facts.get(state.chosen)?.neighbours[state.method];
    if (!near) return;
    const [x, y] = screenOf(state.chosen);
    for (const j of near) {
      const kin = kinship(state.chosen, j);
      const [jx, jy] = screenOf(j);
      context.beginPath();
      context.setLineDash(kin === "other" ? [5, 4] : []);
      context.moveTo(x, y);
      context.lineTo(jx, jy);
      context.strokeStyle = kin === "other" ? theme.hex.warn : theme.hex.soft;
      context.globalAlpha = 0.7;
      context.lineWidth = 1.3;
      context.stroke();
      context.globalAlpha = 1;
      context.setLineDash([]);
      context.beginPath();
      trace(context, symbolOf(genusOf[j]), jx, jy, radius + 1);
      context.fillStyle = colourOf(j);
      context.strokeStyle = theme.hex.ink;
      context.lineWidth = 1.2;
      context.fill();
      context.stroke();
    }
    context.beginPath();
    trace(context, symbolOf(genusOf[state.chosen]), x, y, radius + 1);
    context.fillStyle = colourOf(state.chosen);
    context.fill();
  }

  function drawPin(context, i, text, radius) {
    const [x, y] = screenOf(i);
    halo(context, i, radius + 4, theme.hex.ink, 2);
    const top = y - radius - 17;
    context.beginPath();
    context.moveTo(x, y - radius - 4);
    context.lineTo(x, top);
    context.strokeStyle = theme.hex.ink;
    context.lineWidth = 2;
    context.stroke();
    context.beginPath();
    circle(context, x, top, 10);
    context.fillStyle = theme.hex.ink;
    context.fill();
    context.strokeStyle = theme.hex.page;
    context.lineWidth = 1.5;
    context.stroke();
    context.fillStyle = theme.hex.page;
    context.font = "700 12px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(text, x, top + 0.5);
  }

  function drawLasso(context) {
    context.beginPath();
    lasso.path.forEach((p, c) => context[c ? "lineTo" : "moveTo"](...camera.toScreen(...p)));
    context.closePath();
    context.globalAlpha = 0.14;
    context.fillStyle = theme.hex.accent;
    context.fill();
    context.globalAlpha = 1;
    context.strokeStyle = theme.hex.accent;
    context.lineWidth = 2;
    context.stroke();
  }

  // --------------------------------------------------------------------------- page parts

  function el(tag, props = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(props)) {
      if (key === "class") node.className = value;
      else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (key.includes("-") || key === "role") node.setAttribute(key, value);
      else node[key] = value;
    }
    node.append(...children.filter((child) => child !== null));
    return node;
  }

  function photo(i, kinds = ["thumb"], ...extra) {
    const box = el("div", { class: "photo" }, ...extra);
    const image = el("img", { alt: `${speciesName(i)}, ${genusName(i)}`, draggable: false });
    image.dataset.point = i;
    box.dataset.point = i;
    (async () => {
      for (const kind of kinds) {
        const url = await photoURL(kind, i);
        if (!url) continue;
        image.src = url;
        image.dataset.kind = kind;
        if (!image.isConnected) box.append(image);
      }
      if (!image.src) box.append(el("span", {}, "no photo"));
    })();
    return box;
  }

  const genusLine = (i) =>
    el("div", { class: "genus" }, symbolIcon(genusOf[i]), el("span", {}, genusName(i)));
  const percent = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)} %` : "–");
  const plural = (number, noun) =>
    `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

  function kinship(i, j) {
    if (speciesOf[i] === speciesOf[j]) return "species";
    return genusOf[i] === genusOf[j] ? "genus" : "other";
  }
  const KIN = {
    species: ["=", "same species"],
    genus: ["~", "same genus, another species"],
    other: ["≠", "another genus"],
  };

  // The symbol already says the genus: "Mycena sp. 07" is "sp. 07" where there is little room.
  function shortName(i) {
    const genus = `${genusName(i)} `;
    return speciesName(i).startsWith(genus) ? speciesName(i).slice(genus.length) : speciesName(i);
  }

  function tile(i, { sign, label = shortName(i) } = {}) {
    const button = el(
      "button",
      {
        class: "tile",
        title: `${speciesName(i)} (${genusName(i)})`,
        onclick: () => {
          choose(i);
          bringIntoView(i);
        },
        onmouseenter: () => hover(i),
        onmouseleave: () => hover(-1),
        onfocus: () => hover(i),
        onblur: () => hover(-1),
      },
      photo(i),
      el(
        "small",
        {},
        ...(sign ? [el("b", {}, sign)] : []),
        symbolIcon(genusOf[i]),
        el("span", {}, label),
      ),
    );
    button.dataset.point = i;
    return button;
  }

  // Lists grow on demand: a thousand photos at once would be a thousand decoded images.
  function tiles(list, options = () => ({}), most = 60) {
    const grid = el("div", { class: "tiles" });
    const more = el("button", { onclick: () => extend() });
    const extend = () => {
      const from = grid.childElementCount;
      for (const i of list.slice(from, from + most)) grid.append(tile(i, options(i)));
      const left = list.length - grid.childElementCount;
      more.hidden = left <= 0;
      more.textContent = `Show ${Math.min(left, most)} more of ${left}`;
    };
    extend();
    return [grid, more];
  }

  // ---- header and legend

  // Built once, then only marked, so that focus and double presses survive a change.
  function radio(parent, options, pick) {
    const move = (event) => {
      const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!way) return;
      event.preventDefault();
      event.stopPropagation();
      const next = [...parent.children].indexOf(event.target) + way;
      parent.children[(next + options.length) % options.length].focus();
      document.activeElement.click();
    };
    parent.append(
      ...options.map(([value, ...content]) =>
        el("button", { role: "radio", onclick: () => pick(value), onkeydown: move }, ...content),
      ),
    );
  }

  function markRadio(parent, place) {
    [...parent.children].forEach((button, at) => {
      button.setAttribute("aria-checked", String(at === place));
      button.tabIndex = at === place ? 0 : -1;
    });
  }

  function buildControls() {
    $("title").textContent = meta.title;
    radio(
      $("methods"),
      methods.map((method, m) => [
        m,
        method.name,
        el("small", { class: "soft" }, plural(outlierCount[m], "outlier")),
      ]),
      switchMethod,
    );
    radio(
      $("colours"),
      COLOURS.map((colour) => [colour, colour]),
      (colour) => update({ colour }),
    );
    $("filter").append(
      ...FILTERS.map((f) =>
        el("option", { value: f.key }, `${f.size.toLocaleString("en")} ${f.label}`),
      ),
    );
    $("legend").append(
      ...meta.genera.map((name, g) =>
        el(
          "button",
          {
            class: "chip",
            title: "Press to hide or show, double-press to see it alone",
            onclick: (event) => (event.detail > 1 ? isolate(g) : toggleGenus(g)),
          },
          symbolIcon(g),
          el("span", {}, name),
          el("small", { class: "soft" }, genusSize[g].toLocaleString("en")),
        ),
      ),
    );
  }

  function showControls() {
    markRadio($("methods"), state.method);
    markRadio($("colours"), COLOURS.indexOf(state.colour));
    $("filter").value = filterNow().key;
    if ($("search").value !== state.query) $("search").value = state.query;
    [...$("legend").children].forEach((chip, g) => {
      chip.setAttribute("aria-pressed", String(!state.hidden.has(g)));
      const colour = state.colour === "species" ? css("--soft") : genusColour(g);
      chip.querySelector("polygon").setAttribute("fill", colour);
    });
    $("lasso").setAttribute("aria-pressed", String(lasso.on));
    $("map").classList.toggle("lasso", lasso.on);
  }

  const COLOURS = ["genus", "species"];
  const genusSize = meta.genera.map((_, g) => count((i) => genusOf[i] === g));

  function toggleGenus(g) {
    const hidden = new Set(state.hidden);
    if (!hidden.delete(g)) hidden.add(g);
    update({ hidden });
  }

  function isolate(g) {
    const others = meta.genera.map((_, other) => other).filter((other) => other !== g);
    // The double press has hidden it and brought the count to all but one: decide by the others.
    const alone = others.every((other) => state.hidden.has(other));
    update({ hidden: new Set(alone ? [] : others) });
  }

  function showReading() {
    const { name, trustworthiness, knn_preservation: kept, k } = methods[state.method];
    const visible = shown().length;
    const parts = [
      visible === n
        ? `All ${plural(n, "photo")} shown.`
        : `${visible.toLocaleString("en")} of ${plural(n, "photo")} shown.`,
    ];
    if (trustworthiness !== undefined) {
      parts.push(
        `The map flatters: under ${name} its trustworthiness is ${trustworthiness.toFixed(2)}, and ` +
          `${Math.round(100 * kept)} % of the ${k} nearest neighbours stay nearest on it.`,
      );
    }
    parts.push("Outliers (ringed) and neighbours are computed in the original space.");
    $("reading").textContent = parts.join(" ");
  }

  // ---- the card beside the pointer

  let hovered = -1;
  let lingering = 0;
  function hover(i) {
    if (i === hovered) return;
    hovered = i;
    drawOverlay(); // at once: the points themselves do not change
    if (i < 0) hideCard();
    else showCard(i);
  }

  function showCard(i) {
    const card = $("card");
    const m = state.method;
    const near = nearestName(i, m);
    const verdict = isOutlier(i, m)
      ? el("small", { class: "warn" }, near ? `◎ outlier: nearest to ${near}` : "◎ outlier")
      : null;
    card.replaceChildren(
      photo(i),
      el(
        "div",
        { class: "text" },
        el("div", { class: "name" }, speciesName(i)),
        genusLine(i),
        verdict,
      ),
    );
    card.dataset.point = i;
    card.hidden = false;
    placeCard(i);
    clearTimeout(lingering); // who stays gets the sharper photo
    if (meta.shard_size.photo) {
      lingering = setTimeout(() => {
        if (card.dataset.point === String(i) && !card.hidden) {
          card.firstChild.replaceWith(photo(i, ["thumb", "photo"]));
        }
      }, 250);
    }
  }

  function placeCard(i) {
    const card = $("card");
    const [x, y] = screenOf(i);
    const gap = camera.radius() + 14;
    const left = x + gap + 180 < camera.width ? x + gap : x - gap - 178;
    const top = Math.min(Math.max(6, y - 90), camera.height - camera.foot - card.offsetHeight - 6);
    const [dx, dy] = [left, top].map((v) => Math.round(Math.max(4, v)));
    card.style.transform = `translate(${dx}px, ${dy}px)`;
  }

  function hideCard() {
    clearTimeout(lingering);
    $("card").hidden = true;
    delete $("card").dataset.point;
    hovered = -1;
  }

  // ---- neighbours

  async function showNeighbours() {
    const box = $("neighbours");
    const { chosen, method } = state;
    if (chosen < 0) {
      box.replaceChildren(
        el(
          "div",
          { class: "head" },
          el("h2", {}, "Nearest neighbours"),
          el(
            "span",
            { class: "soft" },
            "Click a point, or press N, for the photos that the network finds most similar to it.",
          ),
        ),
      );
      return;
    }
    const near = [...(await factsOf(chosen)).neighbours[method]];
    if (state.chosen !== chosen || state.method !== method) return;
    const kin = near.map((j) => kinship(chosen, j));
    const same = kin.filter((k) => k === "species").length;
    const genus = kin.filter((k) => k !== "other").length;
    const { name, dimensions } = methods[method];
    const strip = el(
      "div",
      { class: "strip" },
      ...near.map((j, place) => {
        const button = tile(j, { sign: KIN[kin[place]][0] });
        button.dataset.kin = kin[place];
        button.setAttribute(
          "aria-label",
          `neighbour ${place + 1}: ${speciesName(j)}, ${KIN[kin[place]][1]}`,
        );
        return button;
      }),
    );
    box.replaceChildren(
      el(
        "div",
        { class: "head" },
        el("h2", {}, `Nearest to ${speciesName(chosen)} under ${name}`),
        el(
          "span",
          { class: "soft" },
          `in the original ${dimensions} dimensions, not on the map: ` +
            `${same} of ${near.length} of its species (=), ${genus} of its genus (=, ~)`,
        ),
      ),
      strip,
    );
    drawOverlay();
  }

  // ---- the side panel

  const TABS = {
    compare: ["Compare", () => state.pins.length, showCompare],
    outliers: ["Outliers", null, showOutliers],
    selection: ["Selection", () => state.selection.length, showSelection],
    species: ["Species", () => state.marked.size, showSpecies],
  };

  function showPanel() {
    const focused = $("tabs").contains(document.activeElement);
    $("tabs").replaceChildren(
      ...Object.entries(TABS).map(([key, [label, size]]) =>
        el(
          "button",
          {
            role: "tab",
            id: `tab-${key}`,
            "aria-selected": String(state.tab === key),
            "aria-controls": "panel",
            tabIndex: state.tab === key ? 0 : -1,
            onclick: () => update({ tab: key }),
            onkeydown: (event) => moveTab(event),
          },
          label,
          size?.() ? ` ${size()}` : "",
        ),
      ),
    );
    $("panel").setAttribute("aria-labelledby", `tab-${state.tab}`);
    if (focused) $(`tab-${state.tab}`).focus();
    TABS[state.tab][2]($("panel"));
  }

  function moveTab(event) {
    const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!way) return;
    event.preventDefault();
    event.stopPropagation();
    const keys = Object.keys(TABS);
    update({ tab: keys[(keys.indexOf(state.tab) + way + keys.length) % keys.length] });
    $(`tab-${state.tab}`).focus();
  }

  function showCompare(panel) {
    const { pins } = state;
    if (!pins.length) {
      panel.replaceChildren(
        el("h2", {}, "Compare photos side by side"),
        el(
          "p",
          { class: "soft" },
          "Click points to pin their photos here. Two or more show what each method makes of them.",
        ),
        ...suggestion(),
      );
      return;
    }
    const board = el("div", { id: "distances" });
    const cards = el("div", { class: "pins" }, ...pins.map(pinCard));
    panel.replaceChildren(
      el(
        "div",
        { class: "row" },
        el("h2", {}, plural(pins.length, "pinned photo")),
        el("button", { onclick: () => update({ pins: [] }) }, "Unpin all"),
      ),
      cards,
      board,
    );
    if (pins.length > 1) showDistances(board, [...pins]);
    else board.append(el("p", { class: "soft" }, "Pin another photo to compare."));
  }

  // A first step for whoever opens the page: a photo that one method misplaces and another mends.
  function suggestion() {
    const worst = outlierCount.indexOf(Math.max(...outlierCount));
    const best = outlierCount.lastIndexOf(Math.min(...outlierCount));
    const story = FILTERS.find((f) => f.key === `mended:${worst}:${best}`);
    if (!story?.size) return [];
    return [
      el(
        "div",
        { class: "finding" },
        el("p", {}, `${story.size} ${story.label}.`),
        el(
          "button",
          { onclick: () => update({ filter: story.key, tab: "outliers" }) },
          "Show them",
        ),
      ),
    ];
  }

  function pinCard(i, place) {
    const image = el("div", { class: "id" });
    factsOf(i).then(({ image: name }) => {
      image.textContent = name.split("/").at(-1);
      image.title = name;
    });
    const verdicts = el(
      "div",
      { class: "verdicts", title: "Nearest genus centroid under each method" },
      ...methods.flatMap((method, m) => {
        const near = nearestName(i, m);
        const bad = isOutlier(i, m);
        const words = bad ? `nearest to ${near ?? "another genus"}` : "nearest to its own genus";
        return [
          el("span", { class: "soft" }, method.name),
          el(
            "span",
            { class: bad ? "warn" : "good", title: words },
            bad ? `◎ ${near ?? "outlier"}` : "✓ own",
          ),
        ];
      }),
    );
    const card = el(
      "article",
      { class: "pin" },
      photo(
        i,
        ["thumb", "photo"],
        el("span", { class: "badge" }, letter(place)),
        el(
          "button",
          {
            "aria-label": `Unpin ${letter(place)}, ${speciesName(i)}`,
            title: "Unpin",
            onclick: () => togglePin(i),
          },
          "×",
        ),
      ),
      el("div", { class: "name" }, speciesName(i)),
      genusLine(i),
      verdicts,
      image,
    );
    card.dataset.point = i;
    return card;
  }

  async function showDistances(board, pins) {
    const pairs = pins.flatMap((i, a) =>
      pins.slice(a + 1).map((j, b) => ({ i, j, a, b: a + 1 + b })),
    );
    for (const pair of pairs) {
      const [left, right] = [await factsOf(pair.i), await factsOf(pair.j)];
      pair.kin = kinship(pair.i, pair.j);
      pair.distance = methods.map((_, m) => 1 - similarity(left.vectors[m], right.vectors[m]));
      pair.rank = [];
      for (let m = 0; m < methods.length; m++) pair.rank.push(await rankOf(pair.i, pair.j, m));
    }
    if (String(pins) !== String(state.pins) || state.tab !== "compare") return;
    const related = pairs.filter((pair) => pair.kin !== "other");
    const strangers = pairs.filter((pair) => pair.kin === "other");
    board.replaceChildren(
      el("h2", {}, "How far apart"),
      ...finding(related, Math.min, "closest together"),
      ...finding(strangers, Math.max, "farthest apart"),
      el(
        "table",
        {},
        el(
          "tr",
          {},
          el("th", { scope: "col" }, "pair"),
          ...methods.map((method) => el("th", { scope: "col" }, method.name)),
        ),
        ...pairs.map(pairRow),
      ),
      el(
        "p",
        { class: "soft" },
        "Cosine distance in the original space. # is the second photo's place " +
          `among the first one's ${(n - 1).toLocaleString("en")} neighbours; marked is the method that ` +
          "ranks the pair closest. = same species, ~ same genus, ≠ another genus.",
      ),
    );
  }

  const place = (rank) =>
    Number.isFinite(rank)
      ? `#${Math.round(rank).toLocaleString("en")}`
      : `beyond #${meta.neighbours}`;

  function pairRow(pair) {
    const [sign, words] = KIN[pair.kin];
    const least = Math.min(...pair.rank);
    return el(
      "tr",
      {},
      el(
        "th",
        { scope: "row", title: words },
        el("span", { class: "badge inline" }, letter(pair.a)),
        ` ${sign} `,
        el("span", { class: "badge inline" }, letter(pair.b)),
      ),
      ...pair.rank.map((rank, m) =>
        el(
          "td",
          { class: rank === least && Number.isFinite(least) ? "best" : "" },
          pair.distance[m].toFixed(2),
          el("small", { class: "soft" }, place(rank)),
        ),
      ),
    );
  }

  // Photos of one genus should be close, photos of two far apart: who does it best?
  function finding(pairs, best, words) {
    if (!pairs.length || methods.length < 2) return [];
    const mean = methods.map(
      (_, m) => pairs.reduce((sum, pair) => sum + pair.rank[m], 0) / pairs.length,
    );
    const bestRank = best(...mean);
    const winners = methods.filter((_, m) => mean[m] === bestRank).map((method) => method.name);
    const who = pairs.map((pair) => `${letter(pair.a)} and ${letter(pair.b)}`).join(", ");
    const kind =
      pairs.length > 1
        ? best === Math.min
          ? "of one genus"
          : "of different genera"
        : KIN[pairs[0].kin][1];
    if (winners.length === methods.length) {
      return [
        el(
          "p",
          { class: "finding" },
          `${who} (${kind}): every method ranks them alike, ${place(bestRank)}.`,
        ),
      ];
    }
    const others = methods.flatMap((method, m) =>
      mean[m] === bestRank ? [] : [`${method.name} ${place(mean[m])}`],
    );
    return [
      el(
        "p",
        { class: "finding" },
        `${who} (${kind}): ${winners.join(" and ")} put${winners.length > 1 ? "" : "s"} them ` +
          `${words}, ${place(bestRank)}${pairs.length > 1 ? " on average" : ""}; ${others.join(", ")}.`,
      ),
    ];
  }

  function showOutliers(panel) {
    const most = Math.max(1, ...outlierCount);
    const bars = methods.map((method, m) =>
      el(
        "button",
        {
          class: "bar",
          "aria-pressed": String(state.filter === `out:${m}`),
          onclick: () => update({ filter: state.filter === `out:${m}` ? "all" : `out:${m}` }),
        },
        el("span", {}, method.name),
        bar(outlierCount[m] / most),
        el(
          "span",
          {},
          `${outlierCount[m]}`,
          el("small", { class: "soft" }, `  ${percent(outlierCount[m], n)}`),
        ),
      ),
    );
    const filtered = state.filter !== "all";
    const subject = filtered ? filterNow().label : `outliers under ${methods[state.method].name}`;
    const list = shown().filter((i) => filtered || isOutlier(i, state.method));
    // Where it was drawn to: under the method the filter is about, else under the one in view.
    const about = Number(state.filter.split(":")[1] ?? state.method);
    const near = (i) => (isOutlier(i, about) ? nearestName(i, about) : null);
    const label = (i) => (near(i) ? { label: `→ ${near(i)}` } : {});
    if (meta.has_nearest) {
      // the same mistake side by side
      const to = columns.nearest[about];
      list.sort((a, b) => genusOf[a] - genusOf[b] || to[a] - to[b] || a - b);
    }
    panel.replaceChildren(
      el("h2", {}, "Genus outliers"),
      el("p", { class: "soft" }, meta.outlier_rule),
      el("div", {}, ...bars),
      el(
        "div",
        { class: "row" },
        el("h2", { id: "listed" }, `${list.length} ${subject}`),
        filtered
          ? el("button", { onclick: () => update({ filter: "all" }) }, "Show all photos")
          : null,
      ),
      ...tiles(list, label),
    );
  }

  function bar(share) {
    const filled = el("b");
    filled.style.width = `${100 * share}%`;
    return el("i", { "aria-hidden": "true" }, filled);
  }

  function showSelection(panel) {
    const list = state.selection;
    if (!list.length) {
      panel.replaceChildren(
        el("h2", {}, "A gallery of your choice"),
        el(
          "p",
          { class: "soft" },
          "Press Lasso and draw around points on the map, or type in Find and press Enter.",
        ),
      );
      return;
    }
    const sizes = meta.genera.map((_, g) => list.filter((i) => genusOf[i] === g).length);
    const mix = el(
      "div",
      { class: "mix", "aria-hidden": "true" },
      ...sizes.flatMap((size, g) => {
        if (!size) return [];
        const part = el("span");
        part.style.cssText = `flex:${size};background:${genusColour(g)}`;
        return [part];
      }),
    );
    const words = sizes
      .map((size, g) => [size, meta.genera[g]])
      .filter(([size]) => size)
      .sort((a, b) => b[0] - a[0])
      .map(([size, name]) => `${name} ${size}`)
      .join(", ");
    const out = list.filter((i) => isOutlier(i, state.method)).length;
    panel.replaceChildren(
      el(
        "div",
        { class: "row" },
        el("h2", {}, plural(list.length, "photo")),
        el("button", { onclick: () => clearSelection() }, "Clear"),
      ),
      mix,
      el(
        "p",
        { class: "soft" },
        `${words}. ${plural(out, "outlier")} under ${methods[state.method].name}.`,
      ),
      ...tiles(list),
    );
  }

  function showSpecies(panel) {
    const at = panel.scrollTop;
    const sizes = new Uint32Array(meta.species.length);
    for (const s of speciesOf) sizes[s]++;
    const groups = meta.genera.map((name, g) =>
      el(
        "div",
        { class: "group" },
        el("h3", { class: "row" }, el("span", { class: "genus" }, symbolIcon(g), name)),
        ...meta.species
          .map((_, s) => s)
          .filter((s) => meta.genus_of_species[s] === g && sizes[s])
          .map((s) =>
            el(
              "button",
              {
                class: "species",
                "aria-pressed": String(state.marked.has(s)),
                onclick: () => toggleSpecies(s),
              },
              symbolIcon(g, state.colour === "species" ? speciesColour[s] : genusColour(g)),
              el("span", {}, meta.species[s]),
              el("small", { class: "soft" }, String(sizes[s])),
            ),
          ),
      ),
    );
    panel.replaceChildren(
      el(
        "div",
        { class: "row" },
        el("h2", {}, "Mark species"),
        state.marked.size
          ? el("button", { onclick: () => update({ marked: new Set() }) }, "Clear")
          : null,
      ),
      el("p", { class: "soft" }, "Press a species to dim the others."),
      ...groups,
    );
    panel.scrollTop = at;
  }

  function toggleSpecies(s) {
    const marked = new Set(state.marked);
    if (!marked.delete(s)) marked.add(s);
    update({ marked });
    [...document.querySelectorAll(".species")].find((b) => b.matches(":hover"))?.focus();
  }

  // ---- messages

  let fading = 0;
  function announce(text, visible = false) {
    $("live").textContent = text;
    if (!visible) return;
    $("hint").textContent = text;
    $("hint").hidden = false;
    clearTimeout(fading);
    fading = setTimeout(() => {
      $("hint").hidden = true;
    }, 2600);
  }

  const KEYS = [
    ["N  P", "next, previous photo among those shown or selected"],
    ["Enter", "pin or unpin the photo"],
    ["Escape", "clear, one thing at a time: lasso, selection, pins, choice, filters"],
    ["1  2  3", "method"],
    ["C", "colour by genus or species"],
    ["O", "outliers of this method, or all photos"],
    ["L", "lasso"],
    ["/", "find"],
    ["+  −  0", "zoom in, out, whole map"],
    ["← ↑ → ↓", "move the map"],
  ];

  function showHelp() {
    const unread = meta.unreadable;
    $("dialog").replaceChildren(
      el("h2", {}, meta.title),
      el(
        "p",
        {},
        "Each point is a photo, placed so that photos which the network finds similar lie close. " +
          "Shape and colour tell the genus; a ring marks an outlier. Switch the method and every " +
          "point travels to its new place.",
      ),
      el(
        "div",
        { class: "keys" },
        ...KEYS.flatMap(([keys, text]) => [
          el("span", {}, ...keys.split(/ +/).map((key) => el("kbd", {}, key))),
          el("span", {}, text),
        ]),
      ),
      el("p", { class: "soft" }, meta.map_note),
      ...(unread.count
        ? [
            el("p", { class: "warn" }, `${plural(unread.count, "photo")} could not be read:`),
            el("ul", {}, ...unread.names.map((name) => el("li", { class: "id" }, name))),
          ]
        : []),
      el(
        "p",
        { class: "soft" },
        "This page holds everything it shows and makes no request to any server.",
      ),
      el("form", { method: "dialog" }, el("button", { autofocus: true }, "Close")),
    );
    $("dialog").showModal();
  }

  // --------------------------------------------------------------------------------- input

  const lasso = { on: false, path: [], drawing: false };
  const pointers = new Map();
  let drag = null;

  const at = (event) => {
    const box = $("overlay").getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  function pointerDown(event) {
    if (event.button > 0) return;
    $("hint").hidden = true;
    pointers.set(event.pointerId, at(event));
    $("overlay").setPointerCapture(event.pointerId);
    if (lasso.on && pointers.size === 1) {
      Object.assign(lasso, { drawing: true, path: [camera.toMap(...at(event))] });
      hideCard();
    } else {
      drag = { from: at(event), moved: false, pinched: pointers.size > 1 };
    }
  }

  function pointerMove(event) {
    const here = at(event);
    if (!pointers.has(event.pointerId)) {
      if (tween.t === 1 && event.pointerType === "mouse") pointTo(pointAt(...here));
      return;
    }
    const before = pointers.get(event.pointerId);
    if (lasso.drawing) {
      lasso.path.push(camera.toMap(...here));
      drawOverlay();
    } else if (pointers.size > 1) {
      pinch(event.pointerId, before, here);
    } else if (drag) {
      drag.moved ||= Math.hypot(here[0] - drag.from[0], here[1] - drag.from[1]) > 5;
      if (drag.moved) pan(before[0] - here[0], before[1] - here[1]);
    }
    pointers.set(event.pointerId, here);
  }

  function pan(dx, dy) {
    hideCard();
    $("map").classList.add("drag");
    state.view.x += dx / camera.k();
    state.view.y -= dy / camera.k();
    viewChanged();
  }

  function pinch(id, before, here) {
    drag = { from: here, moved: true, pinched: true };
    const other = [...pointers].find(([key]) => key !== id)[1];
    const span = (p) => Math.max(20, Math.hypot(p[0] - other[0], p[1] - other[1]));
    pan((before[0] - here[0]) / 2, (before[1] - here[1]) / 2);
    zoomBy(span(here) / span(before), (here[0] + other[0]) / 2, (here[1] + other[1]) / 2);
  }

  function pointerUp(event) {
    pointers.delete(event.pointerId);
    $("map").classList.remove("drag");
    if (lasso.drawing) {
      finishLasso();
    } else if (drag && !drag.moved && event.type === "pointerup") {
      click(pointAt(...at(event), event.pointerType === "mouse" ? 14 : 26), event.pointerType);
    }
    if (!pointers.size) drag = null;
  }

  // A finger has no hover: its first tap looks, the second one on the same point pins.
  function click(i, pointer) {
    if (i < 0) {
      hideCard();
      if (state.chosen >= 0) choose(-1);
    } else if (pointer !== "mouse" && state.chosen !== i) {
      choose(i);
      hover(i);
      announce("Tap it again to pin", true);
    } else {
      togglePin(i);
    }
  }

  function pointTo(i) {
    $("map").classList.toggle("point", i >= 0);
    hover(i);
  }

  function finishLasso() {
    const path = lasso.path;
    Object.assign(lasso, { drawing: false, on: false });
    if (path.length < 3) lasso.path = [];
    select(path.length < 3 ? [] : shown().filter((i) => inside(positionOf(i), path)));
  }

  function inside([x, y], path) {
    // even-odd rule
    let within = false;
    for (let a = 0, b = path.length - 1; a < path.length; b = a++) {
      const [ax, ay] = path[a],
        [bx, by] = path[b];
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) within = !within;
    }
    return within;
  }

  function select(selection) {
    update({ selection, tab: "selection" });
    announce(`${plural(selection.length, "photo")} selected`);
  }

  function clearSelection() {
    lasso.path = [];
    update({ selection: [] });
  }

  function toggleLasso() {
    lasso.on = !lasso.on;
    if (lasso.on) {
      lasso.path = [];
      announce("Draw around points", true);
    }
    showControls();
    repaint();
  }

  function wheel(event) {
    // Inside a book's page the wheel belongs to the page, until the reader has clicked the map.
    const framed = window !== window.parent;
    if (framed && !event.ctrlKey && document.activeElement !== $("map")) {
      announce("Click the map, then scroll to zoom", true);
      return;
    }
    event.preventDefault();
    hideCard();
    zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)), ...at(event));
  }

  function escape() {
    if (lasso.on || lasso.drawing) {
      Object.assign(lasso, { on: false, drawing: false, path: [] });
      showControls();
      repaint();
    } else if (state.selection.length) clearSelection();
    else if (state.pins.length) update({ pins: [] });
    else if (state.chosen >= 0) choose(-1);
    else update({ filter: "all", query: "", marked: new Set(), hidden: new Set() });
    hideCard();
    repaint();
  }

  const fit = () => {
    state.view = { x: 0, y: 0, z: 1 };
    viewChanged();
  };
  const SHIFT = 60;
  const KEY = {
    n: () => step(1),
    p: () => step(-1),
    Escape: escape,
    c: () => update({ colour: state.colour === "genus" ? "species" : "genus" }),
    o: () =>
      update({
        filter: state.filter === `out:${state.method}` ? "all" : `out:${state.method}`,
        tab: "outliers",
      }),
    l: toggleLasso,
    "/": () => $("search").focus(),
    "?": showHelp,
    "+": () => zoomBy(1.4),
    "=": () => zoomBy(1.4),
    "-": () => zoomBy(1 / 1.4),
    0: fit,
  };
  const MAP_KEY = {
    // only with the map in focus: elsewhere they scroll, or press a button
    Enter: () => state.chosen >= 0 && togglePin(state.chosen),
    ArrowLeft: () => pan(-SHIFT, 0),
    ArrowRight: () => pan(SHIFT, 0),
    ArrowUp: () => pan(0, -SHIFT),
    ArrowDown: () => pan(0, SHIFT),
  };

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || $("dialog").open) return;
    if (event.target.matches("input, select, textarea")) {
      if (event.key === "Escape") $("map").focus();
      return;
    }
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const free = !event.target.closest("button, [role=tabpanel]");
    const act =
      KEY[name] ??
      (free ? MAP_KEY[name] : undefined) ??
      (methods[name - 1] ? () => switchMethod(name - 1) : undefined);
    if (!act) return;
    event.preventDefault();
    act();
    $("map").classList.remove("drag");
  }

  function listen() {
    const surface = $("overlay");
    surface.addEventListener("pointerdown", pointerDown);
    surface.addEventListener("pointermove", pointerMove);
    surface.addEventListener("pointerup", pointerUp);
    surface.addEventListener("pointercancel", pointerUp);
    surface.addEventListener(
      "pointerleave",
      (event) => event.pointerType === "mouse" && pointTo(-1),
    );
    surface.addEventListener("wheel", wheel, { passive: false });
    document.addEventListener("keydown", key);
    $("zoom-in").onclick = () => zoomBy(1.5);
    $("zoom-out").onclick = () => zoomBy(1 / 1.5);
    $("zoom-fit").onclick = fit;
    $("lasso").onclick = toggleLasso;
    $("png").onclick = savePNG;
    $("link").onclick = copyLink;
    $("help").onclick = showHelp;
    $("theme").onclick = () => theme.next();
    $("filter").onchange = (event) =>
      update({
        filter: event.target.value,
        tab: event.target.value === "all" ? state.tab : "outliers",
      });
    $("search").oninput = (event) => update({ query: event.target.value });
    $("search").onkeydown = (event) => {
      if (event.key !== "Enter" || !state.query.trim()) return;
      select(shown());
      $("map").focus();
    };
    new ResizeObserver(measure).observe($("map"));
    window.addEventListener("hashchange", () => location.hash !== lastHash && restore());
  }

  function measure() {
    const box = $("map").getBoundingClientRect();
    Object.assign(camera, { width: Math.max(80, box.width), height: Math.max(80, box.height) });
    camera.pixel = Math.min(window.devicePixelRatio || 1, 2);
    repaint();
  }

  // ------------------------------------------------------------------------ export and link

  // The map at twice the page's resolution, with a title above and the legend below.
  function savePNG() {
    const head = 58,
      line = 24;
    const usual = camera.pixel;
    camera.pixel = 2;
    renderer.draw(); // a WebGL canvas holds its picture only until the browser shows it
    drawOverlay();
    const sheet = el("canvas", { width: 2 * camera.width });
    const context = sheet.getContext("2d");
    context.font = "13px system-ui, sans-serif";
    const legend = legendPlaces(context);
    sheet.height = 2 * (head + camera.height + line * (legend.at(-1).row + 1) + 12);
    context.fillStyle = theme.hex.page;
    context.fillRect(0, 0, sheet.width, sheet.height);
    context.drawImage($("points"), 0, 2 * head);
    context.drawImage($("overlay"), 0, 2 * head);
    camera.pixel = usual;
    repaint();

    context.scale(2, 2);
    const { name } = methods[state.method];
    context.fillStyle = theme.hex.ink;
    context.font = "600 17px system-ui, sans-serif";
    context.fillText(`${meta.title}: ${name}`, 16, 26);
    context.font = "13px system-ui, sans-serif";
    context.fillStyle = theme.hex.soft;
    const about = state.filter === "all" ? "" : `; shown: ${filterNow().label}`;
    context.fillText(
      `${plural(outlierCount[state.method], "genus outlier")} (ringed) among ${plural(n, "photo")}${about}`,
      16,
      46,
    );
    for (const { g, x, row } of legend) {
      const y = head + camera.height + line * (row + 0.5);
      context.beginPath();
      trace(context, symbolOf(g), x, y, 6);
      context.fillStyle = state.colour === "species" ? theme.hex.soft : genusColour(g);
      context.fill();
      context.fillStyle = theme.hex.ink;
      context.fillText(meta.genera[g], x + 12, y + 5);
    }
    sheet.toBlob((blob) => {
      const url = URL.createObjectURL(blob);
      el("a", { href: url, download: `map-${name.replace(/[^\w-]+/g, "_")}.png` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60000);
    });
  }

  function legendPlaces(context) {
    let x = 22,
      row = 0;
    return meta.genera.map((name, g) => {
      const width = context.measureText(name).width + 40;
      if (x > 22 && x + width > camera.width) [x, row] = [22, row + 1];
      x += width;
      return { g, x: x - width, row };
    });
  }

  async function copyLink() {
    save();
    try {
      await navigator.clipboard.writeText(location.href);
      announce("Link to this view copied", true);
    } catch {
      announce("The address bar holds the link to this view", true);
    }
  }

  let lastHash = "";
  let saving = 0;
  const saveSoon = () => {
    clearTimeout(saving);
    saving = setTimeout(save, 250);
  };

  function save() {
    const { view } = state;
    const fields = {
      m: state.method ? methods[state.method].name : "",
      c: state.colour === "species" ? "species" : "",
      f: state.filter === "all" ? "" : state.filter,
      g: [...state.hidden].join("."),
      s: [...state.marked].join("."),
      q: state.query,
      i: state.chosen >= 0 ? state.chosen : "",
      pin: state.pins.join("."),
      tab: state.tab === "compare" ? "" : state.tab,
      v:
        view.z === 1 && !view.x && !view.y
          ? ""
          : [view.x, view.y, view.z].map((v) => +v.toPrecision(4)).join("_"),
      theme: state.theme === "auto" ? "" : state.theme,
    };
    const parts = Object.entries(fields).filter(([, value]) => value !== "");
    lastHash = parts.length ? `#${new URLSearchParams(parts)}` : "";
    try {
      history.replaceState(null, "", lastHash || location.pathname + location.search);
    } catch {
      /* a sandboxed frame may not write its address */
    }
  }

  function restore() {
    const fields = new URLSearchParams(location.hash.slice(1));
    const codes = (name, limit) =>
      (fields.get(name) ?? "")
        .split(".")
        .filter(Boolean)
        .map(Number)
        .filter((code) => Number.isInteger(code) && code >= 0 && code < limit);
    const m = methods.findIndex((method) => method.name === fields.get("m"));
    const [x, y, z] = (fields.get("v") ?? "").split("_").map(Number);
    if ([x, y, z].every(Number.isFinite) && z > 0) state.view = { x, y, z: Math.min(200, z) };
    else state.view = { x: 0, y: 0, z: 1 };
    theme.set(fields.get("theme") ?? "auto");
    update({
      method: Math.max(0, m),
      colour: fields.get("c") === "species" ? "species" : "genus",
      filter: FILTERS.some((f) => f.key === fields.get("f")) ? fields.get("f") : "all",
      hidden: new Set(codes("g", meta.genera.length)),
      marked: new Set(codes("s", meta.species.length)),
      query: fields.get("q") ?? "",
      chosen: codes("i", n)[0] ?? -1,
      pins: [...new Set(codes("pin", n))].slice(0, MOST_PINS),
      tab: Object.hasOwn(TABS, fields.get("tab")) ? fields.get("tab") : "compare",
    });
  }

  // ------------------------------------------------------------------------------- theme

  // Chosen here, else the book's around this page, else the system's.
  const theme = {
    hex: {},
    rgb: {},
    book: null,
    set(value) {
      state.theme = ["light", "dark"].includes(value) ? value : "auto";
      const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      document.documentElement.dataset.theme =
        state.theme !== "auto" ? state.theme : (theme.book ?? system);
      for (const name of ["page", "ink", "soft", "accent", "warn", "dim"]) {
        theme.hex[name] = css(`--${name}`);
        theme.rgb[name] = rgb(theme.hex[name]);
      }
      repaint();
    },
    next() {
      const now = document.documentElement.dataset.theme;
      theme.set(state.theme === "auto" ? (now === "dark" ? "light" : "dark") : "auto");
      announce(
        `Theme: ${state.theme === "auto" ? "as the page around it or the system" : state.theme}`,
        true,
      );
      saveSoon();
    },
    fromBook(value) {
      theme.book = ["light", "dark"].includes(value) ? value : null;
      theme.set(state.theme);
    },
    follow() {
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
        theme.set(state.theme),
      );
      if (window === window.parent) return;
      window.addEventListener("message", (event) => {
        if (event.source === window.parent && event.data?.type === "theme")
          theme.fromBook(event.data.theme);
      });
      try {
        // the same origin: read it off the page
        const around = window.parent.document.documentElement;
        const read = () => theme.fromBook(around.dataset.theme);
        new MutationObserver(read).observe(around, { attributeFilter: ["data-theme"] });
        read();
      } catch {
        // on file:// and in a sandbox: the page around has to tell
        window.parent.postMessage({ type: "explorer-ready" }, "*");
      }
    },
  };

  // -------------------------------------------------------------------------------- start

  buildControls();
  theme.set("auto");
  useRenderer(openRenderer());
  theme.follow();
  listen();
  measure();
  restore();
  tween.t = 1; // a view from a link opens in place
  tween.id = (tween.id ?? 0) + 1;

  // For tests, and for whoever writes a page around the map.
  window.explorer = {
    state,
    methods: methods.map((method) => method.name),
    get settled() {
      return tween.t === 1;
    },
    get drawn() {
      return [...level].filter((l) => l === 2).length;
    },
    get lassoPath() {
      return lasso.path.map(toPlane);
    },
    coords: () => Array.from({ length: n }, (_, i) => toPlane(positionOf(i))),
    screenOf: (i) => {
      const box = $("overlay").getBoundingClientRect();
      const [x, y] = screenOf(i);
      return [box.left + x, box.top + y];
    },
    neighbours: async (i, m = state.method) => [...(await factsOf(i)).neighbours[m]],
    distance: async (i, j, m = state.method) =>
      1 - similarity((await factsOf(i)).vectors[m], (await factsOf(j)).vectors[m]),
    outliers: (m = state.method) => [...columns.outliers.keys()].filter((i) => isOutlier(i, m)),
    shown,
    switchMethod,
    togglePin,
    choose,
    update,
  };

  function toPlane([x, y]) {
    // from the drawn square to the caller's coordinates
    const { centre, half } = methods[state.method];
    return [centre[0] + half * x, centre[1] + half * y];
  }

  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      document.documentElement.dataset.ready = "true";
    }),
  );
})();
