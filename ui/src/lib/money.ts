// Amounts as people read them. Sums are made by the server, exactly; here they are only shown.
import type { Money } from '../api/stages';

export function money(m: Money | null | undefined): string {
  if (!m) return 'unknown';
  const value = Number(m.amount);
  if (!Number.isFinite(value)) return `${m.amount} ${m.currency}`;
  try {
    return value.toLocaleString('en', { style: 'currency', currency: m.currency });
  } catch {
    return `${value.toFixed(2)} ${m.currency}`;
  }
}

/** `+$18.40`, `-$3.00`, `±$0.00`; unknown when one side is, or the currencies differ. */
export function difference(before: Money | null | undefined, after: Money | null | undefined): string {
  if (!before || !after || before.currency !== after.currency) return 'unknown';
  const cents = Math.round((Number(after.amount) - Number(before.amount)) * 100);
  return signed({ amount: String(cents / 100), currency: after.currency });
}

/** An amount with its sign, for changes. */
export function signed(m: Money | null | undefined): string {
  const value = Number(m?.amount);
  if (!m || !Number.isFinite(value)) return 'unknown';
  return `${value > 0 ? '+' : value < 0 ? '−' : '±'}${money({ amount: String(Math.abs(value)), currency: m.currency })}`;
}
