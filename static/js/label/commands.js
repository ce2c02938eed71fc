// What every key does, by its usual name. A handler returns whether it used the key.

export function commandsOf(workspace) {
  return {
    actions: actionsOf(workspace),
    usualFor: (key) => workspace.keyMap.usualFor(key),
    onDigit: (digit) => pressDigit(workspace, digit),
    inField: (event) => pressInField(workspace, event),
  };
}

function actionsOf(workspace) {
  const { screen, task } = workspace;
  const own = (key, fallback) => (event) => (workspace.current && task.key(key)) || fallback?.(event);
  const beside = (step) => (event) => !event.target.matches(".scrolls-x") && screen.focusBeside(step);
  const scrolling = scrollingOf(screen);
  return {
    ...scrolling,
    Enter: () => workspace.submit() ?? true,
    Escape: () => workspace.closeMenus(),
    "?": () => document.getElementById("keys").showModal() ?? true,
    "=": own("="),
    u: () => workspace.undo() ?? true,
    s: () => workspace.openMenu("skip"),
    f: () => workspace.openMenu("flag"),
    b: () => !workspace.isSettling() && task.bothBad(),
    x: () => !workspace.isSettling() && task.cannotJudge(),
    w: () => task.writeWhy(),
    j: () => task.move(1),
    k: () => task.move(-1),
    h: () => workspace.togglePlain(),
    p: () => screen.collapsePrompt(!screen.collapsed),
    g: () => workspace.toggle("guidelines"),
    d: () => workspace.toggle("diff"),
    y: () => workspace.toggle("sync"),
    ArrowLeft: own("ArrowLeft", beside(-1)),
    ArrowRight: own("ArrowRight", beside(1)),
    ArrowUp: own("ArrowUp", scrolling.ArrowUp),
    ArrowDown: own("ArrowDown", scrolling.ArrowDown),
  };
}

// All texts scroll unless one has the focus: then the browser scrolls that one.
function scrollingOf(screen) {
  const by = (share) => (event) =>
    !event.target.closest(".scrolls") && screen.scrollBy(event.shiftKey ? -share : share);
  return { ArrowDown: by(0.12), ArrowUp: by(-0.12), PageDown: by(0.85), PageUp: by(-0.85), " ": by(0.85) };
}

function pressDigit(workspace, digit) {
  const { opened } = workspace.menus;
  if (opened) return opened.press(digit);
  if (!workspace.current || workspace.isSettling()) return true;
  return workspace.task.press(digit);
}

// Where the reason comes first, Enter goes on to the verdict.
function pressInField(workspace, event) {
  if (event.key === "Escape") workspace.focusVerdicts({ leaving: true });
  if (event.key !== "Enter" || event.shiftKey) return;
  event.preventDefault();
  const { task } = workspace;
  if (task.chosen || task.waitsForWhy()) workspace.submit();
  else workspace.focusVerdicts();
}
