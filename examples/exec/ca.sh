#!/bin/sh
# A CA for certprov's kind `exec`, over `openssl ca` or Easy-RSA 3.1. See docs/authorities/exec.md.
#
#   ca.sh openssl  DIRECTORY issue|revoke|check|crl     DIRECTORY has openssl.cnf and what that names
#   ca.sh easy-rsa DIRECTORY issue|revoke|check|crl     DIRECTORY is Easy-RSA's pki
#
# CA_PASSPHRASE: that of the CA's key, if it has one. EASYRSA_PROGRAM: needed where Easy-RSA is not Debian's.
#
# Idempotent: the serial number is derived from the request's id, and what the CA's database holds under that number is
# the answer. Both tools write the certificate first and the database last, and nothing is given out before.
#
# No name is ever part of a command line, a file name or a pattern: names stay inside the CSR and the certificate.
set -eu
umask 077

# Exit statuses of the kind `exec`.
rejected=4
failed=1

fail() {
  echo "$2" >&2
  exit "$1"
}

[ $# -eq 3 ] || fail "$failed" 'Usage: ca.sh openssl|easy-rsa DIRECTORY issue|revoke|check|crl'
tool=$1
directory=$(cd -- "$2" && pwd)
action=$3

case $tool in
  openssl)
    ca=$directory/ca.pem
    certificates=$directory/newcerts
    export CA_DIRECTORY="$directory"
    ;;
  easy-rsa)
    ca=$directory/ca.crt
    certificates=$directory/certs_by_serial
    program=${EASYRSA_PROGRAM:-/usr/share/easy-rsa/easyrsa}
    export EASYRSA_PKI="$directory" EASYRSA_BATCH=1 EASYRSA_RAND_SN=no EASYRSA_CP_EXT=1
    [ -z "${CA_PASSPHRASE:+set}" ] || export EASYRSA_PASSIN=env:CA_PASSPHRASE
    ;;
  *) fail "$failed" "There is no tool $tool." ;;
esac

openssl_ca() {
  openssl ca -config "$directory/openssl.cnf" -batch ${CA_PASSPHRASE:+-passin env:CA_PASSPHRASE} "$@" >&2
}

# $1: serial number; $2: file with the CSR; $3: days.
sign() {
  printf '%s\n' "$1" >"$directory/serial"
  case $tool in
    openssl) openssl_ca -in "$2" -days "$3" -notext -out /dev/null ;;
    easy-rsa)
      cat "$2" >"$directory/reqs/$1.req"
      EASYRSA_CERT_EXPIRE=$3 "$program" sign-req client "$1" >&2
      ;;
  esac
}

# $1: serial number; $2: reason, as RFC 5280 calls it.
revoke() {
  case $tool in
    openssl) openssl_ca -revoke "$certificates/$1.pem" -crl_reason "$2" ;;
    easy-rsa)
      # Missing after a crash between the database and this file.
      [ -e "$directory/issued/$1.crt" ] || cp "$certificates/$1.pem" "$directory/issued/$1.crt"
      "$program" revoke "$1" "$2" >&2
      ;;
  esac
}

make_list() {
  case $tool in
    openssl) openssl_ca -gencrl -out "$directory/crl.pem.new" && mv "$directory/crl.pem.new" "$directory/crl.pem" ;;
    easy-rsa) "$program" gen-crl >&2 ;;
  esac
}

# The database's letter for a serial number: V, R or E; nothing when it is not there.
state_of() {
  awk -F '\t' -v serial="$1" '$4 == serial { print $1 }' "$directory/index.txt"
}

# Where the certificate with a serial number is; Easy-RSA moves revoked ones.
file_of() {
  if [ -e "$certificates/$1.pem" ]; then echo "$certificates/$1.pem"; else echo "$directory/revoked/certs_by_serial/$1.crt"; fi
}

issue() {
  case ${CERTPROV_REQUEST_ID:-} in
    *[!0-9a-f]* | '') fail "$failed" 'CERTPROV_REQUEST_ID is not hexadecimal.' ;;
  esac
  # 4… makes it positive and of full length; 31 digits of the id remain.
  serial=$(printf '4%s' "${CERTPROV_REQUEST_ID#?}" | tr a-f A-F)
  cat >"$work/csr.pem"
  state=$(state_of "$serial")
  if [ -z "$state" ]; then
    # One line of the file; a name cannot begin a line in JSON.
    days=$(sed -n 's/^  "validityDays": \([0-9]\{1,5\}\),$/\1/p' "$CERTPROV_REQUEST_FILE")
    [ -n "$days" ] || fail "$failed" "$CERTPROV_REQUEST_FILE names no validityDays."
    sign "$serial" "$work/csr.pem" "$days"
  fi
  openssl x509 -in "$(file_of "$serial")" -out "$work/certificate.pem"
  certified=$(openssl x509 -in "$work/certificate.pem" -noout -pubkey)
  requested=$(openssl req -in "$work/csr.pem" -noout -pubkey)
  [ "$certified" = "$requested" ] ||
    fail "$rejected" "The request id $CERTPROV_REQUEST_ID was used for another key before."
  # On the disk before anybody has it.
  sync "$(file_of "$serial")" "$directory/index.txt"
  cat "$work/certificate.pem"
  openssl x509 -in "$ca"
}

revoke_given() {
  serial=$(openssl x509 -noout -serial)
  serial=${serial#serial=}
  state=$(state_of "$serial")
  case $state in
    '') fail "$failed" "The certificate $serial was not issued here." ;;
    R) ;; # Done before; the list may not be.
    *) revoke "$serial" "${CERTPROV_REASON:-unspecified}" ;;
  esac
  make_list
}

check() {
  openssl x509 -in "$ca" -noout -checkend 0 >&2 || fail "$failed" "$ca cannot be read or has expired."
  [ -w "$directory/index.txt" ] || fail "$failed" "$directory/index.txt cannot be written."
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
# Neither tool may run twice at once. This process and all it starts hold the lock.
exec 9>"$directory/certprov.lock"
flock 9
# Between two renames of theirs there is none.
[ -e "$directory/index.txt" ] || [ ! -e "$directory/index.txt.new" ] || mv "$directory/index.txt.new" "$directory/index.txt"

case $action in
  issue) issue ;;
  revoke) revoke_given ;;
  check) check ;;
  crl) make_list ;;
  *) fail "$failed" "There is no action $action." ;;
esac
