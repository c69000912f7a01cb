
"use strict";
// The server writes the page anew; what differs takes the place of what was there.
const period = 2000;
const pause = document.getElementById("pause");
let paused = false;
let asking = false;

async function refresh() {
  if (asking) return;
  asking = true;
  try {
    const options = { cache: "no-store", headers: { accept: "text/html" }, signal: AbortSignal.timeout(5000) };
    const answer = await fetch("/statusz?part=live", options);
    if (!answer.ok) throw new Error(answer.status);
    update(new DOMParser().parseFromString(await answer.text(), "text/html"));
    document.body.classList.remove("stale");
  } catch {
    lost();
  }
  asking = false;
}

function update(next) {
  document.title = next.title;
  for (const fresh of next.querySelectorAll("[data-live]")) {
    const old = document.getElementById(fresh.id);
    if (old && !old.isEqualNode(fresh)) old.replaceWith(fresh);
  }
}

function lost() {
  if (document.body.classList.contains("stale")) return;
  document.body.classList.add("stale");
  const text = document.createElement("strong");
  text.textContent = "No answer";
  const since = document.createElement("span");
  since.textContent = "The server has ended, or cannot be reached. What stands here is how it was before.";
  const verdict = document.getElementById("state");
  verdict.className = "verdict bad";
  verdict.replaceChildren(text, since);
  document.title = "No answer";
}

async function follow() {
  if (!paused && !document.hidden) await refresh();
  setTimeout(follow, period);
}

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? "Go on" : "Pause";
  if (!paused) refresh();
});
document.addEventListener("visibilitychange", () => {
  if (!paused && !document.hidden) refresh();
});
setTimeout(follow, period);
