export function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

export function jitter(value: number, share: number): number {
  return value * (1 + (Math.random() * 2 - 1) * share);
}
