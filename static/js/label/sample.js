// The labelling screen with a made-up comparison, for whoever designs the task: the workspace's own screen, task,
// highlights and menus, so that the preview cannot differ. Nothing is fetched, kept or sent.
import { element } from "./dom.js";
import { Highlights } from "./highlight.js";
import { Menus } from "./menu.js";
import { TASKS } from "./tasks.js";
import { Screen } from "./view.js";
import { letter } from "./words.js";

const SHOWN = { pairwise: 2, ranking: 4, rating: 3 };
const PROMPT = "Why is the sky blue?";
const ANSWERS = [
  "Because air scatters blue light more than red.",
  "Sunlight holds all colours. The air scatters short waves most, so blue reaches us from everywhere.",
  "It mirrors the oceans.",
  "It is blue by day and red in the evening.",
];

export class Sample {
  constructor(root, protocol, onSay) {
    this.say = onSay;
    this.screen = new Screen(root, { isPreview: true });
    this.screen.build(SHOWN[protocol.kind]);
    this.buildTask(root, protocol);
    this.offerHighlights(protocol);
    const told = (what) => ({ name }) => this.say(`${what}: ${name}. Here it goes nowhere.`);
    new Menus(this.screen.find, protocol, { skip: told("Skipped"), flag: told("Flagged") });
    this.screen.find("send").addEventListener("click", () => this.send());
    this.show();
  }

  buildTask(root, protocol) {
    const { screen } = this;
    const { find } = screen;
    const places = {
      points: find("points"),
      others: find("others"),
      extras: find("extras"),
      before: find("before"),
      paneFields: (side) => screen.paneFields(side),
    };
    this.task = new TASKS[protocol.kind](protocol, places, {
      onChoose: () => this.chosen(),
      onEdit: () => {},
      onLocked: (words) => this.say(words),
      onSay: (words) => this.say(words),
      onCurrent: (side) => this.isShown && screen.choose(side),
    });
    root.toggleAttribute("data-immediate", this.task.immediate);
    screen.onSeen = (seen) => this.task.lock(!seen);
  }

  offerHighlights({ span_categories: categories }) {
    const { find } = this.screen;
    this.highlights = new Highlights(categories, find("highlights"), {
      task: this.task,
      raws: () => this.screen.raws,
      onSay: (words) => this.say(words),
      onLeave: () => find("highlight").focus(),
    });
    find("highlight").hidden = !this.highlights.offered;
    find("highlight").setAttribute("aria-pressed", "false");
    find("highlight").onclick = () => this.togglePlain();
  }

  togglePlain() {
    this.screen.setPlain(!this.screen.plain);
    this.screen.find("highlight").setAttribute("aria-pressed", String(this.screen.plain));
  }

  show() {
    const responses = ANSWERS.slice(0, this.screen.panes.length).map((text, place) => ({
      label: letter(place),
      html: paragraph(text),
      text,
    }));
    const prompt = [{ role: "user", html: paragraph(PROMPT) }];
    this.screen.show({ comparison: { prompt, responses, criterion: "" } });
    this.task.show({}, responses.length);
    this.highlights.show(ANSWERS.slice(0, responses.length));
    this.screen.arrange();
    this.isShown = true;
  }

  chosen() {
    if (this.task.immediate) this.send();
    else this.say("");
  }

  send() {
    const missing = this.task.complaint();
    this.say(missing ? missing.text : `Would be sent: ${this.task.phrase()}.`);
  }
}

function paragraph(text) {
  return element("p", {}, text).outerHTML;
}
