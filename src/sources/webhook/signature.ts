import { createHmac, timingSafeEqual } from 'node:crypto';

/** The only form of `X-Hub-Signature-256` there is. */
const SIGNATURE = /^sha256=([0-9a-f]{64})$/iu;

/** Whether a header could be a signature at all; without one nothing of the body needs to be read. */
export function looksSigned(header: string | undefined): header is string {
  return header !== undefined && SIGNATURE.test(header);
}

/**
 * Whether `header` is the HMAC-SHA256 of exactly these bytes under `secret`. Takes the same time wherever a signature
 * is wrong.
 */
export function isSigned(body: Buffer, header: string, secret: string): boolean {
  const expected = createHmac('sha256', secret).update(body).digest();
  const claimed = Buffer.from(SIGNATURE.exec(header)?.[1] ?? '', 'hex');
  // Of another length only where the header was no signature, which the sender knows already.
  return claimed.length === expected.length && timingSafeEqual(claimed, expected);
}
