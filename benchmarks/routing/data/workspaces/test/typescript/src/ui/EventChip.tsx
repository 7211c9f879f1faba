import React from "react";

interface ChipProps {
  title: string;
  tentative: boolean;
}

export function EventChip({ title, tentative }: ChipProps): JSX.Element {
  return <span className={tentative ? "chip chip--tentative" : "chip"}>{title || "(no title)"}</span>;
}
