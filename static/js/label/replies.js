// What the server said to labels that the outbox sent.
import { say } from "../status.js";
import { SAY } from "./words.js";

export function listenToServer(workspace) {
  const { outbox } = workspace;
  outbox.addEventListener("changed", () => tellState(outbox));
  outbox.addEventListener("sent", ({ detail }) => sent(workspace, detail));
  outbox.addEventListener("refused", ({ detail }) => refused(workspace, detail));
}

function tellState(outbox) {
  const { state, count } = outbox;
  if (state === "offline") say(SAY.offline(count), "warn");
  if (state === "logged-out") say(SAY.loggedOut(count), "danger");
  if (state === "idle" && outbox.wasAway) say(SAY.sent, "ok");
  if (state !== "sending") outbox.wasAway = state !== "idle";
}

function sent(workspace, { row, answer }) {
  if (row.closes) workspace.leases.forget(row.assignment);
  if (answer.progress && workspace.outbox.count === 0) workspace.setProgress(answer.progress);
  if (answer.feedback) tellFeedback(workspace.screen, answer.feedback);
}

// What was right is said in passing; what was missed is worth a stop.
function tellFeedback(screen, { text, is_correct: isCorrect }) {
  if (isCorrect) {
    say(text, "ok");
    return;
  }
  screen.find("feedback-text").textContent = text;
  screen.find("feedback").showModal();
}

function refused(workspace, { row, error }) {
  if (row.closes) workspace.leases.forget(row.assignment);
  const reasons = Object.values(error.errors ?? {})
    .flat()
    .join(" ");
  // Lost to somebody else (409) is final; anything else can be mended, so the comparison opens again.
  workspace.takeBack(row.key, { reopen: error.status !== 409 });
  say(SAY.refusedLabel([error.message, reasons].filter(Boolean).join(" ")), "danger");
}
