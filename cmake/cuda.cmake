# QUERN_CUDA: AUTO takes CUDA where nvcc is found and works, ON wants it, OFF leaves it. A binary with CUDA needs
# neither a GPU nor a driver to start: the runtime is linked statically and asks for the driver by itself.
set(QUERN_CUDA AUTO CACHE STRING "GPU encoders: AUTO, ON or OFF")
set_property(CACHE QUERN_CUDA PROPERTY STRINGS AUTO ON OFF)
set(QUERN_HAVE_CUDA OFF)

# The sanitizers look at the processor's code, which a build without CUDA has all of.
if(QUERN_CUDA STREQUAL "ON" OR (QUERN_CUDA STREQUAL "AUTO" AND NOT QUERN_SANITIZE))
  find_program(QUERN_NVCC nvcc PATHS /usr/local/cuda/bin)
  if(QUERN_NVCC)
    set(CMAKE_CUDA_COMPILER ${QUERN_NVCC})
    set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
    # The kinds of GPU that data centres have, and PTX of which the driver makes code for later ones.
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 90-virtual CACHE STRING "GPUs to compile for")
    include(CheckLanguage)
    check_language(CUDA)
  endif()
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    # CMake 3.25 does not know that nvcc takes it.
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA_STANDARD 20)
    set(CMAKE_CUDA_EXTENSIONS OFF)
    set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
    if(CCACHE)
      set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
    endif()
    set(QUERN_HAVE_CUDA ON)
  elseif(QUERN_CUDA STREQUAL "ON")
    message(FATAL_ERROR "QUERN_CUDA is ON, and no nvcc was found that works")
  endif()
endif()
message(STATUS "CUDA: ${QUERN_HAVE_CUDA}")

# No operation may be fused, on the device and in the host's copy of its code (docs/cuda.md).
set(QUERN_CUDA_OPTIONS --fmad=false --expt-relaxed-constexpr
    -Xcompiler=-ffp-contract=off,-Wall,-Wextra,-Wno-unknown-pragmas)

# quern_cuda_sources(TARGET FOLDER): the .cu files of FOLDER and cuda_device.cc, or no_cuda.cc in their place.
function(quern_cuda_sources target folder)
  if(NOT QUERN_HAVE_CUDA)
    set_source_files_properties(${folder}/cuda_device.cc PROPERTIES HEADER_FILE_ONLY ON)
    return()
  endif()
  set_source_files_properties(${folder}/no_cuda.cc PROPERTIES HEADER_FILE_ONLY ON)
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cu)
  target_sources(${target} PRIVATE ${sources})
  target_compile_definitions(${target} PRIVATE QUERN_HAVE_CUDA)
  target_include_directories(${target} SYSTEM PRIVATE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  set(options ${QUERN_CUDA_OPTIONS})
  if(QUERN_WERROR)
    list(APPEND options -Werror=all-warnings -Xcompiler=-Werror)
  endif()
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:${options}>")
endfunction()

# quern_ptx(TARGET FOLDER TO): the PTX of FOLDER's .cu files, in TO, is made before TARGET. Kernels have the names that
# they have in the objects.
function(quern_ptx target folder to)
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cu)
  file(MAKE_DIRECTORY ${to})
  foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    add_custom_command(
      OUTPUT ${to}/${name}.ptx
      COMMAND ${CMAKE_CUDA_COMPILER} -ccbin=${CMAKE_CUDA_HOST_COMPILER} -DQUERN_HAVE_CUDA -I${CMAKE_SOURCE_DIR} -O3 -DNDEBUG
              ${QUERN_CUDA_OPTIONS} -std=c++20 -arch=compute_90 -ptx -MD -MF ${to}/${name}.d -MT ${to}/${name}.ptx
              ${source} -o ${to}/${name}.ptx
      DEPENDS ${source}
      DEPFILE ${to}/${name}.d
      COMMENT "PTX of ${name}.cu"
      VERBATIM)
    target_sources(${target} PRIVATE ${to}/${name}.ptx)
  endforeach()
endfunction()
