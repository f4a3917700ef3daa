#!/bin/bash
# One file of a project of Data Dispatcher, by its commands:
#
#   worker.sh PROJECT SITE PROGRAM [ARGUMENT…]
#
# PROGRAM gets the URL of the file as its last argument. If it ends with 0 the file is done; with 75
# it is tried again later, and with anything else it has failed for good.
set -u
project=$1 site=$2
shift 2

field() { # of the file, by a path such as .name
  python3 -c "import json, sys; print(json.loads(sys.argv[1])$1)" "$out"
}

if out=$(ddisp worker next -j -c "$site" -t 60 "$project"); then
  file=$(field "['namespace']"):$(field "['name']")
  "$@" "$(field "['replicas'][0]['url']")"
  case $? in
    0) ddisp worker done "$project" "$file" ;;
    75) ddisp worker failed "$project" "$file" ;;
    *) ddisp worker failed -f "$project" "$file" ;;
  esac
else
  case $out in
    *done*) echo "the project is over" ;;
    *timeout*) echo "no file within the time, but the project is not over yet" ;;
    *) exit 1 ;; # ddisp has said on stderr what is wrong
  esac
fi
