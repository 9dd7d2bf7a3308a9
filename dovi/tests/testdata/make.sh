#!/bin/sh
# Makes the streams in this folder and writes down what dovi_tool makes of them.
#
#   dovi/tests/testdata/make.sh /path/to/dovi_tool
#
# Needs ffmpeg with libx265 and a dovi_tool of github.com/quietvoid/dovi_tool. The streams are a test picture, the
# metadata is generated: nothing comes from a disc. x265 gives other bytes in another version or on another processor, so
# the streams are kept as files; the expected bytes are kept as BLAKE3 digests in digests.txt.
set -eu
dovi_tool=$(realpath "${1:?usage: make.sh /path/to/dovi_tool}")
here=$(cd "$(dirname "$0")" && pwd)
tags='log-level=error:info=0:repeat-headers=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited'
tags="$tags:chromaloc=2:scenecut=0:b-adapt=0:frame-threads=1:ctu=16:rc-lookahead=40"

stream() {
    ffmpeg -nostdin -v error -y -f lavfi -i testsrc2=s=128x72:r=24000/1001 \
        -frames:v "$2" -pix_fmt yuv420p10le -c:v libx265 -preset ultrafast -crf 48 -x265-params "$tags:$3" \
        -f hevc "$here/$1.hevc"
}

stream closed 120 'bframes=4:keyint=24:min-keyint=24:open-gop=0:aud=1'
stream open 96 'bframes=4:keyint=24:min-keyint=24:open-gop=1'
stream slices 72 'bframes=4:keyint=24:min-keyint=24:open-gop=0:slices=2'
stream temporal-layers 96 'bframes=7:keyint=32:min-keyint=32:open-gop=0:temporal-layers=1:b-pyramid=1'
stream radl 120 'bframes=4:keyint=24:min-keyint=24:open-gop=0:radl=3'

cd "$here/../../.."
DOVI_TEST_DOVI_TOOL=$dovi_tool DOVI_TEST_WRITE_DIGESTS=1 \
    cargo test -q -p dovi --test oracle_live -- --ignored --exact digests_are_those_of_dovi_tool
