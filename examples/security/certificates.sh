#!/bin/sh
# Makes an authority, a certificate for a server at 127.0.0.1 and localhost, and one for clients, all
# in one folder: to try TLS with. In production, certificates come from an authority of yours.
#   sh examples/security/certificates.sh FOLDER
set -eu
folder=${1:?"the folder to write to"}
mkdir -p "$folder"
cd "$folder"
umask 077

key() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$1-key.pem"
}

key ca
openssl req -x509 -new -key ca-key.pem -days 30 -subj "/CN=Contrail example CA" -out ca.pem

# sign NAME EXTENSIONS
sign() {
  key "$1"
  openssl req -new -key "$1-key.pem" -subj "/CN=$1" -out "$1.csr"
  printf '%s\n' "$2" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 30 \
    -extfile "$1.ext" -out "$1.pem" 2>/dev/null
  rm "$1.csr" "$1.ext"
}

sign server "subjectAltName=DNS:localhost,IP:127.0.0.1
extendedKeyUsage=serverAuth"
sign client "extendedKeyUsage=clientAuth"
