#!/bin/sh
# Installs what the project needs: Debian packages when that is possible, and the Python packages into a virtual
# environment. Usage: setup.sh DIRECTORY

set -eu
venv=$1

# package:what tells that it is there (a command or a file)
needed="perl:perl make:make git:git opensbi:/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin
u-boot-qemu:/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin qemu-system-misc:qemu-system-riscv64
device-tree-compiler:dtc zlib1g-dev:/usr/include/zlib.h liblz4-dev:/usr/include/lz4.h
qemu-system-x86:qemu-system-x86_64 ovmf:/usr/share/OVMF grub-common:grub-mkrescue xorriso:xorriso mtools:mformat
gdb-multiarch:gdb-multiarch
qemu-system-arm:qemu-system-aarch64 qemu-efi-aarch64:/usr/share/qemu-efi-aarch64/QEMU_EFI.fd
grub-pc-bin:/usr/lib/grub/i386-pc grub-efi-amd64-bin:/usr/lib/grub/x86_64-efi"

missing=""
for entry in $needed; do
    package=${entry%%:*}
    sign=${entry#*:}
    case $sign in
        /*) [ -e "$sign" ] || missing="$missing $package" ;;
        *) command -v "$sign" >/dev/null || missing="$missing $package" ;;
    esac
done

python=""
for candidate in python3 python3.13 python3.12 python3.11; do
    if command -v $candidate >/dev/null && $candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || missing="$missing python3 python3-venv"
if [ -n "$python" ] && ! $python -c 'import ensurepip, venv' 2>/dev/null; then
    missing="$missing python3-venv"
fi

if [ -n "$missing" ]; then
    root=""
    [ "$(id -u)" = 0 ] || root="sudo -n"
    echo "Installing:$missing"
    if command -v apt-get >/dev/null && $root true 2>/dev/null; then
        $root apt-get update -q || true
        DEBIAN_FRONTEND=noninteractive $root apt-get install -q -y --no-install-recommends $missing || installed=no
    else
        installed=no
    fi
    if [ "${installed:-yes}" = no ]; then
        echo "These packages are missing and could not be installed from here; please run:" >&2
        echo "    sudo apt-get install$missing" >&2
        case " $missing " in
            # Without these nothing works; without the others, some commands do not.
            *" python3-venv "* | *" perl "*) exit 1 ;;
        esac
    fi
fi
[ -n "$python" ] || python=python3

[ -x "$venv/bin/python" ] || $python -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --editable .
