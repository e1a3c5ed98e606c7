# SPDX-License-Identifier: GPL-3.0-or-later
# The front door. Meson builds; this only knows where it put things.

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) $(NINJAFLAGS)
	@ln -sf $(BUILD)/src/paddock paddock

$(BUILD)/build.ninja:
	@meson setup $(BUILD) --prefix=$(PREFIX) --libexecdir=libexec $(MESONFLAGS)

# What a fresh Debian 12 or 13 lacks; asks for sudo only when it is needed.
deps:
	@sh tools/deps

# The main job for real, on this very system.
run: deps
	@$(MAKE) --no-print-directory all
	@sh tools/demonstrate ./paddock

check: deps
	@bash tools/check

# The core on Debian 12's own kernel, with systemd, in a virtual machine (software emulation).
check-vm: all
	@sh tools/check-vm $(BUILD)

bench: all
	@sh bench/run ./paddock

install: all
	@meson configure $(BUILD) -Dprefix=$(PREFIX) && DESTDIR=$(DESTDIR) meson install -C $(BUILD) --quiet

clean:
	rm -rf $(BUILD) build-* paddock

.PHONY: all deps run check check-vm bench install clean
