/**
 * The event id that the hub gives a sale's Purchase, for a thank-you page's own pixel: equal ids let Meta see one
 * purchase where browser and server tell of it. The rule is `meta_event_id` in `runtime/sinal_hub/model/events.py`.
 */

/** Two decimals, half up: a float just below a half is one that was written as that half. null for what is not an amount. */
export const twoDecimals = (value: string): string | null =>
  /^\d{1,12}(\.\d*)?$/.test(value) ? (Math.round((+value + 1e-9) * 100) / 100).toFixed(2) : null;

/** SHA-256 of tenant|order|Purchase|value|currency in hex; rejects without a secure context or for bad input. */
export async function purchaseId(
  tenant: string,
  { order_id, value, currency = "" }: { order_id?: string | number; value?: string | number; currency?: string },
): Promise<string> {
  const amount = value === undefined ? "" : twoDecimals(`${value}`);
  if (amount === null || !order_id) throw "purchaseId needs order_id, value as 297.00";
  const text = `${tenant}|${order_id}|Purchase|${amount}|${currency.toUpperCase()}`;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
