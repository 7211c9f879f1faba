export type Partstat = "needs-action" | "accepted" | "declined" | "tentative";

export interface Attendee {
  email: string;
  name?: string;
  partstat: Partstat;
  organizer: boolean;
}

export function displayName(a: Attendee): string {
  return a.name ?? a.email.split("@")[0];
}
