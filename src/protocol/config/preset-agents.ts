/** Agents that are there without being named in the file: each is the provider of that name, with all its defaults. */
export const PRESET_AGENTS = ['claude', 'codex', 'gemini', 'opencode'] as const;
type PresetAgent = (typeof PRESET_AGENTS)[number];

export function isPresetAgent(name: string): name is PresetAgent {
  return (PRESET_AGENTS as readonly string[]).includes(name);
}
