export interface Shortcut {
  keys: string;
  label: string;
}

export const SHORTCUTS: Shortcut[] = [
  { keys: "n", label: "New event" },
  { keys: "t", label: "Go to today" },
  { keys: "j", label: "Next week" },
  { keys: "k", label: "Previous week" },
  { keys: "?", label: "Show this list" },
];

/** The text of the help panel, one shortcut on each line. */
export function shortcutHelp(): string {
  return SHORTCUTS.map((s) => `${s.keys}  ${s.label}`).join("\n");
}
