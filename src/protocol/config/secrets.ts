/** Tokens and keys that can be told by their look. Each pattern takes linear time. */
const TOKENS: readonly (readonly [RegExp, string])[] = [
  [/\bsk-(?:ant-|proj-|or-)[A-Za-z0-9_-]{8,}/g, 'an API key'],
  [/\bsk-[A-Za-z0-9]{20,}/g, 'an API key'],
  [/\bxox[a-z]-[A-Za-z0-9-]{8,}/g, 'a Slack token'],
  [/\bxapp-[A-Za-z0-9-]{8,}/g, 'a Slack token'],
  [/\bhooks\.slack\.com\/services\/[A-Za-z0-9/_-]{8,}/g, 'the address of a Slack webhook'],
  [/\bdiscord(?:app)?\.com\/api\/webhooks\/\d+\/[\w-]{8,}/g, 'the address of a Discord webhook'],
  [/(?<![\w-])[MNO][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}/g, 'a Discord bot token'],
  [/\b\d{8,12}:[A-Za-z0-9_-]{30,}/g, 'a Telegram bot token'],
  [/\bgh[a-z]_[A-Za-z0-9]{16,}/g, 'a GitHub token'],
  [/\bgithub_pat_[A-Za-z0-9_]{16,}/g, 'a GitHub token'],
  [/\bglpat-[A-Za-z0-9_-]{16,}/g, 'a GitLab token'],
  [/\bnpm_[A-Za-z0-9]{30,}/g, 'an npm token'],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, 'an AWS key'],
  [/\bAIza[A-Za-z0-9_-]{35}/g, 'a Google API key'],
  [/(?<![\w-])eyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]*/g, 'a signed web token'],
  [/-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----/g, 'a private key'],
  [/:\/\/[^\s/:@{}$]{1,256}:[^\s/@{}$]{1,256}@/g, 'an address with a password'],
];

/** What kind of secret the text holds by its look, or undefined. */
export function secretIn(text: string): string | undefined {
  if (text.length < 12) return undefined;
  return TOKENS.find(([pattern]) => text.search(pattern) !== -1)?.[1];
}

/** The text with everything that looks like a secret taken out. */
export function hideSecrets(text: string): string {
  if (text.length < 12) return text;
  return TOKENS.reduce((rest, [pattern]) => rest.replace(pattern, '(hidden)'), text);
}

/**
 * Whether a text is most likely random: one word of 24 characters or more with digits and letters, and no words in it.
 * Only asked where secrets are to be expected; elsewhere a commit's hash would be taken for one.
 */
export function looksRandom(text: string): boolean {
  if (!/^[A-Za-z0-9+/=_-]{24,}$/.test(text)) return false;
  const digits = text.replace(/\D/g, '').length;
  const letters = text.replace(/[^A-Za-z]/g, '').length;
  return digits >= 3 && letters >= 3 && !/[A-Za-z]{12,}/.test(text) && !text.startsWith('/');
}

/** Whether a variable of this name is made to hold a secret. */
export function namesSecret(name: string): boolean {
  return /(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|PRIVATE_KEY|ACCESS_KEY|CREDENTIALS?)$/i.test(name);
}
