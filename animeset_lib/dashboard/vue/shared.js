// Put in front of every section's script: what all of them need. `t` is the table of texts in the chosen language.
const shared = {
  methods: {
    // A text with {places} filled in; the key itself where there is no text, so that a gap is seen.
    tr(key, values) {
      const text = this.t[key];
      if (text === undefined) return key;
      return text.replace(/\{(\w+)\}/g, (whole, name) => (values && name in values ? values[name] : whole));
    },
    // A text if there is one for this key, else the fallback.
    name(key, fallback) {
      return this.t[key] === undefined ? fallback : this.t[key];
    },
    number(value, digits) {
      return Number(value).toLocaleString(this.t.language, { maximumFractionDigits: digits === undefined ? 0 : digits });
    },
    bytes(value) {
      const units = ['B', 'kB', 'MB', 'GB', 'TB'];
      let step = 0;
      while (value >= 1000 && step < units.length - 1) { value /= 1000; step += 1; }
      return `${this.number(value, value < 10 && step > 1 ? 1 : 0)} ${units[step]}`;
    },
    clock(seconds) {
      const whole = Math.max(0, Math.round(seconds));
      const pad = (n) => String(n).padStart(2, '0');
      const hours = Math.floor(whole / 3600);
      const rest = `${hours ? pad(Math.floor(whole / 60) % 60) : Math.floor(whole / 60)}:${pad(whole % 60)}`;
      return hours ? `${hours}:${rest}` : rest;
    },
    about(seconds) {
      if (seconds < 50) return this.tr('time.seconds', { n: this.number(Math.max(5, Math.ceil(seconds / 5) * 5)) });
      if (seconds < 5400) return this.tr('time.minutes', { n: this.number(Math.max(1, Math.round(seconds / 60))) });
      return this.tr('time.hours', { n: this.number(seconds / 3600, 1) });
    },
    // Address of a file of the project: Voila and JupyterLab serve them at different places.
    address(path) {
      const config = document.getElementById('jupyter-config-data');
      const settings = config ? JSON.parse(config.textContent) : {};
      const base = settings.baseUrl || '/';
      const voila = !!document.querySelector('script[src*="voila/static"], link[href*="voila/static"], script[src*="/voila/"]') || !!window.__voila_process__ || location.pathname.includes('/voila/');
      return base + (voila ? 'voila/files/' : 'files/') + path.split('/').map(encodeURIComponent).join('/');
    },
    // A file made in the page itself.
    saveText(name, text) {
      const link = document.createElement('a');
      link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain;charset=utf-8' }));
      link.download = name;
      document.body.appendChild(link);
      link.click();
      link.remove();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    },
  },
};

const CHUNK = 4 * 1024 * 1024; // well below the 10 MB that a Jupyter server takes as one message
const WINDOW = 3; // chunks on their way at once: enough to keep the line busy, little enough to keep the server's memory flat
// Sends files one after the other. The section's class in the kernel has `begin_upload`, `upload_chunk` and `stop_upload`; `target` is handed on to it.
const uploader = {
  data() { return { sending: null, queue: [], refused: [] }; },
  computed: {
    problems() { return this.state.error ? [...this.refused, this.state.error] : this.refused; },
    percent() { return this.sending ? (100 * this.sending.sent) / this.sending.size : 0; },
  },
  methods: {
    enqueue(files, target) { const idle = !this.sending; if (idle) this.refused = []; this.queue.push(...files.map((file, place) => ({ file, target, first: idle && place === 0 }))); if (!this.sending) this.next(); },
    async next() {
      const first = this.queue.shift();
      if (!first) return;
      const { file, target } = first;
      this.sending = { name: file.name, size: file.size, file, sent: 0, asked: 0, from: 0, began: performance.now(), speed: 0, left: null, told: false, ticket: `${Date.now()}-${Math.random()}` };
      const now = this.sending;
      // asked for by its ends, size and date: the same file chosen again goes on where it stopped
      let digest;
      try {
        const ends = new Blob([file.slice(0, 65536), file.slice(Math.max(0, file.size - 65536))]);
        digest = await this.digest(await ends.arrayBuffer());
      } catch (problem) { if (this.sending === now) { this.refused.push(this.tr('film.unreadable', { name: now.name })); this.sending = null; this.next(); } return; }
      if (this.sending !== now) return;
      now.told = true;
      this.begin_upload({ name: file.name, size: file.size, fingerprint: `${digest}-${file.lastModified}`, ticket: now.ticket, first: first.first, ...(target === undefined ? {} : { target }) });
    },
    async digest(buffer) {
      if (window.crypto && crypto.subtle) return [...new Uint8Array(await crypto.subtle.digest('SHA-256', buffer))].map((b) => b.toString(16).padStart(2, '0')).join('');
      let sum = 2166136261; // pages that are not on localhost or https have no crypto; this only tells files apart
      for (const byte of new Uint8Array(buffer)) sum = Math.imul(sum ^ byte, 16777619) >>> 0;
      return sum.toString(16);
    },
    // the kernel answers every chunk with the length it has; `refused` is a sentence
    jupyter_upload_state(answer) {
      const now = this.sending;
      if (!now || answer.ticket !== now.ticket) return;
      if (answer.refused) { this.refused.push(answer.refused.includes(now.name) ? answer.refused : `${now.name}: ${answer.refused}`); this.sending = null; this.next(); return; }
      if (answer.done) { this.sending = null; this.next(); return; }
      if (answer.begun || answer.restart) { now.asked = answer.offset; if (answer.begun) { now.from = answer.offset; now.began = performance.now(); } }
      now.sent = answer.offset;
      const seconds = (performance.now() - now.began) / 1000;
      if (seconds > 0.5) { now.speed = (now.sent - now.from) / seconds; now.left = now.speed ? (now.size - now.sent) / now.speed : null; }
      this.pump(now);
    },
    async pump(now) {
      if (now.pumping) return;
      now.pumping = true;
      while (this.sending === now && now.asked < now.size && now.asked - now.sent < WINDOW * CHUNK) {
        const offset = now.asked;
        now.asked = Math.min(now.size, offset + CHUNK);
        let data;
        try { data = await now.file.slice(offset, offset + CHUNK).arrayBuffer(); } catch (problem) { this.refused.push(this.tr('film.unreadable', { name: now.name })); this.stopUpload(); break; }
        if (this.sending !== now) break;
        // the page is being left, or its kernel has ended: what arrived stays, and the same file goes on from there
        try { this.upload_chunk({ ticket: now.ticket, offset }, [data]); } catch (problem) { this.refused.push(this.tr('header.lost')); this.sending = null; this.queue = []; }
      }
      now.pumping = false;
    },
    stopUpload() { if (this.sending && this.sending.told) this.stop_upload({ ticket: this.sending.ticket }); this.sending = null; this.queue = []; },
  },
};
