/** A serial number in decimal, from hexadecimal with perhaps a minus, as `readCertificate` gives it. */
export function decimalSerial(hex: string): string {
  return hex.startsWith('-') ? `-${BigInt(`0x${hex.slice(1)}`)}` : `${BigInt(`0x${hex}`)}`;
}
