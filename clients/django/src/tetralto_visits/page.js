(() => {
  "use strict";
  const { visit, to } = document.currentScript.dataset;
  const page = document.documentElement;
  let seen = 0, since = 0, depth = 0, sent;
  const look = () => {
    const part = ((scrollY + innerHeight) / Math.max(page.scrollHeight, 1)) * 100;
    depth = Math.max(depth, Math.min(100, Math.round(part)));
  };
  const count = () => {
    const now = performance.now();
    if (since) seen += now - since;
    since = document.visibilityState === "visible" ? now : 0;
  };
  const send = () => {
    count();
    const engagement_seconds = Math.round(seen / 1000);
    const body = JSON.stringify({ visit, engagement_seconds, scroll_depth: depth });
    if (body !== sent && navigator.sendBeacon(to, body)) sent = body;
  };
  addEventListener("scroll", look, { passive: true });
  addEventListener("pagehide", send);
  document.addEventListener("visibilitychange", send);
  setTimeout(send, 5000);
  look();
  count();
})();
