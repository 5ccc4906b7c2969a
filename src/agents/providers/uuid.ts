/** What a session's id is for programs that name their sessions by a UUID; nothing else becomes an argument. */
export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/iu;
