#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The site's own certificates. Keep ca.key off the broker, on a medium in a safe.
#
#   certificates.sh ca FOLDER [YEARS]             the site's CA: ca.crt, ca.key
#   certificates.sh server FOLDER HOST...         the broker's: server.crt, server.key, for these names and addresses
#   certificates.sh client FOLDER NAME            a device's (NAME is SITE/DEVICE) or headquarters'
set -eu

usage() {
    sed -n '4,8p' "$0" >&2
    exit 2
}

[ $# -ge 2 ] || usage
what=$1
folder=$2
shift 2
umask 077
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# issue FILE COMMON_NAME EXTENSIONS
issue() {
    config=$(mktemp)
    trap 'rm -f "$config"' EXIT
    printf '[req]\nprompt=no\ndistinguished_name=dn\n[dn]\nCN=%s\n[ext]\n%s\n' "$2" "$3" >"$config"
    openssl ecparam -name prime256v1 -genkey -noout -out "$folder/$1.key"
    openssl req -new -sha256 -config "$config" -key "$folder/$1.key" -out "$folder/$1.csr"
    openssl x509 -req -sha256 -days 1825 -in "$folder/$1.csr" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" \
        -CAcreateserial -extfile "$config" -extensions ext -out "$folder/$1.crt" 2>/dev/null
    rm -f "$folder/$1.csr"
}

case $what in
ca)
    years=${1:-10}
    openssl ecparam -name prime256v1 -genkey -noout -out "$folder/ca.key"
    openssl req -x509 -new -sha256 -days $((years * 365)) -key "$folder/ca.key" -subj "/CN=Nigiwai site CA" \
        -addext "keyUsage=critical,keyCertSign,cRLSign" -out "$folder/ca.crt"
    ;;
server)
    [ $# -ge 1 ] || usage
    names=
    for host in "$@"; do
        case $host in
        *[!0-9.]*:* | *:*) kind=IP ;;
        *[!0-9.]*) kind=DNS ;;
        *) kind=IP ;;
        esac
        names="$names${names:+,}$kind:$host"
    done
    issue server "$1" "subjectAltName=$names
extendedKeyUsage=serverAuth"
    ;;
client)
    [ $# -eq 1 ] || usage
    case $1 in
    *[!a-z0-9_/-]*)
        echo "certificates.sh: $1: names are made of a-z, 0-9, - and _, a device's is SITE/DEVICE" >&2
        exit 2
        ;;
    esac
    issue "$(printf %s "$1" | tr / .)" "$1" "extendedKeyUsage=clientAuth"
    ;;
*) usage ;;
esac
