/** JSON that one adapter wrote and only it reads again. It may hold secrets: it is never logged. */
export type Opaque =
  | null
  | boolean
  | number
  | string
  | readonly Opaque[]
  | { readonly [key: string]: Opaque };
