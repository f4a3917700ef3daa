#!/bin/bash
# Lists the page images of a volume with their sizes and SHA-256 sums, by `bec-worker exec`: what
# this writes to the folder BEC_OUTPUT_DIR is uploaded when it ends with 0, and the marker last.
set -euo pipefail

bucket=${BEC_OUTPUT_URI#s3://}
bucket=${bucket%%/*}
pages=s3:$bucket/images/$BEC_W_ID/$BEC_I_ID

# rclone's remote called s3, from what every worker is given
provider=AWS
[ -z "${AWS_ENDPOINT_URL_S3:-}" ] || provider=Other
export RCLONE_CONFIG= RCLONE_CONFIG_S3_TYPE=s3 RCLONE_CONFIG_S3_ENV_AUTH=true
export RCLONE_CONFIG_S3_PROVIDER=$provider RCLONE_CONFIG_S3_REGION=${AWS_REGION:-}
export RCLONE_CONFIG_S3_ENDPOINT=${AWS_ENDPOINT_URL_S3:-}

listed=$(rclone lsf --files-only --format sp --separator $'\t' "$pages" | sort --key 2)
if [ -z "$listed" ]; then
  echo "no page images in $pages" >&2
  exit 65 # no retry can help this volume
fi
total=$(wc --lines <<<"$listed")
number=0
while IFS=$'\t' read -r size name; do
  sum=$(rclone cat "$pages/$name" | sha256sum)
  printf '%s\t%s\t%s\n' "$name" "$size" "${sum%% *}" >>"$BEC_OUTPUT_DIR/pages.tsv"
  number=$((number + 1))
  echo "bec-progress $number/$total pages"
done <<<"$listed"
